"""An architecture as it is described: the section with vars, blocks, layers, aux and init."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cnntrain.arch.blocks import Block, read_blocks
from cnntrain.arch.expand import Context, Nodes, expand_list
from cnntrain.arch.expression import Scope
from cnntrain.arch.items import Reporter, is_word, resolve
from cnntrain.core.complaints import shown, value_at
from cnntrain.core.document import Document, KeyPath
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Problem, suggestion

KEYS = ("made_for", "vars", "blocks", "layers", "aux", "init")
MADE_FOR = {"classes": 1000, "channels": 3, "size": 224}
"""The images that an architecture file is planned for where no run file says what there is."""

AUX_KEYS = ("as", "from", "weight", "layers")


@dataclass(frozen=True)
class Facts:
    """What the data tell the architecture; None: not known."""

    num_classes: int | None
    image_channels: int
    image_height: int
    image_width: int


@dataclass(frozen=True)
class AuxHead:
    """A head that is there in training only: where it reads, and its weight in the loss."""

    name: str
    source: str
    weight: float
    nodes: Nodes
    path: KeyPath


@dataclass(frozen=True)
class Description:
    """An architecture with its names resolved and its parameters checked, but without shapes."""

    nodes: Nodes
    aux: tuple[AuxHead, ...]
    facts: Facts
    report: Reporter
    init: tuple[tuple[KeyPath, Mapping[str, Any]], ...]


def describe(
    document: Document,
    *,
    root: KeyPath = (),
    facts: Facts,
    variables: Mapping[str, Any] | None = None,
    variables_path: KeyPath = ("vars",),
) -> Description:
    """Read the architecture at `root` of a document; arguments as those of `try_to_describe`.

    Raises:
        ConfigError: with everything that is wrong, but for shapes.
    """
    description, problems = try_to_describe(
        document, root=root, facts=facts, variables=variables, variables_path=variables_path
    )
    if description is None or problems:
        raise ConfigError.of(problems)
    return description


def try_to_describe(
    document: Document,
    *,
    root: KeyPath = (),
    facts: Facts,
    variables: Mapping[str, Any] | None = None,
    variables_path: KeyPath = ("vars",),
) -> tuple[Description | None, list[Problem]]:
    """The architecture, where it can be planned in spite of what is wrong with it; and the latter.

    Args:
        document: a run file with an architecture in it, or an architecture file.
        root: where the architecture is in the document.
        facts: number of classes and size of the images, `$num_classes`, `$image_size`, ...
        variables: values for the architecture's `vars`, from the run file.
        variables_path: where those stand in the document.
    """
    report = Reporter(document)
    raw = value_at(document.data, root)
    if not isinstance(raw, Mapping) or "layers" not in raw:
        report.add(root, "an architecture must have `layers:`", "add a list of layers")
        return None, report.problems
    for key in raw:
        if key not in KEYS:
            message = f"unknown key '{key}' in the architecture"
            report.add((*root, key), message, suggestion(key, KEYS), key=True)
    _check_made_for(raw.get("made_for", {}), (*root, "made_for"), report)
    harmless = report.count
    known = Scope(_data_names(facts))
    scope = _variables(raw, root, known, variables or {}, variables_path, report)
    if scope is None:  # all that uses the variables would look wrong, too
        return None, report.problems
    has_blocks = raw.get("blocks") is not None
    blocks = read_blocks((*root, "blocks"), report=report) if has_blocks else {}
    context = Context(scope, scope, report, blocks, set())
    nodes = _expand_some((*root, "layers"), context)
    names = [node.name for node in nodes]
    aux = tuple(_read_aux((*root, "aux"), raw.get("aux"), names, context))
    init = tuple(_read_init((*root, "init"), raw.get("init"), scope, report))
    can_be_planned = report.count == harmless
    _report_unused(raw, root, blocks, context)
    description = Description(nodes, aux, facts, report, init)
    return (description if can_be_planned else None), report.problems


def usual_facts(document: Document, *, root: KeyPath = ()) -> Facts:
    """The images that an architecture is made for: its `made_for`, or 224x224 ones of ImageNet.

    What is wrong with `made_for` is passed over here and reported by `describe`.
    """
    raw = value_at(document.data, root)
    given = raw.get("made_for") if isinstance(raw, Mapping) else None
    stated = given if isinstance(given, Mapping) else {}
    known = {**MADE_FOR, **{key: value for key, value in stated.items() if _is_count(value)}}
    return Facts(known["classes"], known["channels"], known["size"], known["size"])


def _check_made_for(given: Any, path: KeyPath, report: Reporter) -> None:
    if not isinstance(given, Mapping):
        remedy = "write `{classes: 1000, channels: 3, size: 224}`"
        report.add(path, "'made_for' must be a mapping", remedy)
        return
    for key, value in given.items():
        if key not in MADE_FOR:
            message = f"unknown key '{key}' in made_for"
            report.add((*path, key), message, suggestion(key, MADE_FOR), key=True)
        elif not _is_count(value):
            message = f"'{key}' must be an integer of 1 or more, not {shown(value)}"
            report.add((*path, key), message, "correct the value")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _data_names(facts: Facts) -> dict[str, int | None]:
    names = {
        "num_classes": facts.num_classes,
        "image_channels": facts.image_channels,
        "image_height": facts.image_height,
        "image_width": facts.image_width,
    }
    if facts.image_height == facts.image_width:
        names["image_size"] = facts.image_height
    return names


def _variables(
    raw: Mapping[str, Any],
    root: KeyPath,
    known: Scope,
    given: Mapping[str, Any],
    given_path: KeyPath,
    report: Reporter,
) -> Scope | None:
    """The architecture's `vars`, each able to use those above it, some set by the run file.

    None where a value is unknown because something is wrong.
    """
    declared = raw["vars"] if raw.get("vars") is not None else {}
    if not isinstance(declared, Mapping):
        message = f"'vars' must be a mapping, not {shown(declared)}"
        report.add((*root, "vars"), message, "write `name: value`")
        return None
    for name in given:
        if name not in declared:
            message = f"the architecture has no variable '{name}'"
            report.add((*given_path, name), message, suggestion(name, declared), key=True)
    before = report.count
    scope = Scope({}, known)
    for name, value in declared.items():
        path = (*root, "vars", name)
        if not is_word(name):
            remedy = "use a word of letters, digits and _"
            report.add(path, f"a variable cannot be called '{name}'", remedy, key=True)
        if name in known:
            report.add(path, f"'{name}' comes from the data", "choose another name", key=True)
        if name in given:
            path, value = (*given_path, name), given[name]
        scope.define(name, resolve(value, path, scope=scope, report=report))
    return scope if report.count == before else None


def _read_aux(path: KeyPath, raw: Any, names: list[str], context: Context) -> list[AuxHead]:
    report = context.report
    if raw is None:
        return []
    if not isinstance(raw, list):
        report.add(path, f"'aux' must be a list, not {shown(raw)}", "write `- from: name`")
        return []
    heads: list[AuxHead] = []
    for index, each in enumerate(raw):
        taken = [*names, *(head.name for head in heads)]
        head = _read_head(each, index, (*path, index), names=names, taken=taken, context=context)
        heads += [head] if head is not None else []
    return heads


def _read_head(
    head: Any,
    index: int,
    path: KeyPath,
    *,
    names: list[str],
    taken: list[str],
    context: Context,
) -> AuxHead | None:
    report = context.report
    if not isinstance(head, Mapping) or not {"from", "layers"} <= set(head):
        message = "an auxiliary head needs `from` and `layers`"
        report.add(path, message, "write `- {from: name, weight: 0.3, layers: [...]}`")
        return None
    for key in head:
        if key not in AUX_KEYS:
            message = f"unknown key '{key}' in an auxiliary head"
            report.add((*path, key), message, suggestion(key, AUX_KEYS), key=True)
    is_whole = not report.problems
    if head["from"] not in names and is_whole:
        message = f"'from' names {shown(head['from'])}, but no layer of the network is called so"
        report.add((*path, "from"), message, suggestion(str(head["from"]), names))
    weight = _weight(head.get("weight", 1.0), (*path, "weight"), context)
    name = head.get("as", f"aux{index + 1}")
    if not is_word(name) or name in taken:
        why = "is taken" if name in taken else "is not a word of letters, digits and _"
        report.add((*path, "as"), f"the name '{name}' {why}", "choose another with `as`")
    nodes = _expand_some((*path, "layers"), context)
    return AuxHead(str(name), str(head["from"]), weight, nodes, path)


def _expand_some(path: KeyPath, context: Context) -> Nodes:
    nodes = expand_list(path, context)
    if not nodes and not context.report.problems:
        message = "no layer is left because every `repeat` is 0"
        context.report.add(path, message, "make one of them 1 or more")
    return nodes


def _weight(raw: Any, path: KeyPath, context: Context) -> float:
    before = context.report.count
    weight = resolve(raw, path, scope=context.scope, report=context.report)
    if isinstance(weight, int | float) and not isinstance(weight, bool) and 0 < weight < math.inf:
        return float(weight)
    if context.report.count == before:
        message = f"'weight' must be a number greater than 0, not {shown(weight)}"
        context.report.add(path, message, "write the factor of this head's loss")
    return 1.0


def _read_init(
    path: KeyPath, raw: Any, scope: Scope, report: Reporter
) -> list[tuple[KeyPath, Mapping[str, Any]]]:
    if raw is None:
        return []
    if not isinstance(raw, list) or not all(isinstance(rule, Mapping) for rule in raw):
        message = "'init' must be a list of rules"
        report.add(path, message, "write `- {layers: conv, weight: kaiming}`")
        return []
    rules = [((*path, i), rule) for i, rule in enumerate(raw)]
    return [(here, resolve(rule, here, scope=scope, report=report)) for here, rule in rules]


def _report_unused(
    raw: Mapping[str, Any], root: KeyPath, blocks: Mapping[str, Block | None], context: Context
) -> None:
    """What is written but has no effect is a mistake; said only when nothing else is wrong."""
    report = context.report
    if report.problems:
        return
    for name in raw.get("vars") or {}:
        if name not in context.globals.used:
            message = f"the variable '{name}' is never used"
            remedy = f"write ${name} where it belongs, or remove it"
            report.add((*root, "vars", name), message, remedy, key=True)
    for name in blocks:
        if name not in context.used_blocks:
            message = f"the block '{name}' is never used"
            report.add(
                (*root, "blocks", name), message, "name it in `layers:`, or remove it", key=True
            )
