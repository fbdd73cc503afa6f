"""An architecture as it is described: the section with vars, blocks, layers, aux and init."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cnntrain.arch.expand import Block, Context, Nodes, expand_list, read_blocks
from cnntrain.arch.expression import Scope
from cnntrain.arch.items import Reporter, resolve
from cnntrain.core.complaints import shown, value_at
from cnntrain.core.document import Document, KeyPath
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import suggestion

KEYS = ("vars", "blocks", "layers", "aux", "init")
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
    """Read the architecture at `root` of a document.

    Args:
        document: a run file with an architecture in it, or an architecture file.
        root: where the architecture is in the document.
        facts: number of classes and size of the images, `$num_classes`, `$image_size`, ...
        variables: values for the architecture's `vars`, from the run file.
        variables_path: where those stand in the document.

    Raises:
        ConfigError: with everything that is wrong, but for shapes.
    """
    report = Reporter(document)
    raw = value_at(document.data, root)
    if not isinstance(raw, Mapping) or "layers" not in raw:
        report.add(root, "an architecture must have `layers:`", "add a list of layers")
        raise ConfigError.of(report.problems)
    for key in raw:
        if key not in KEYS:
            message = f"unknown key '{key}' in the architecture"
            report.add((*root, key), message, suggestion(key, KEYS), key=True)
    known = Scope(_data_names(facts))
    scope = _variables(raw, root, known, variables or {}, variables_path, report)
    blocks = read_blocks((*root, "blocks"), report=report) if raw.get("blocks") else {}
    context = Context(scope, scope, report, blocks, set())
    nodes = expand_list((*root, "layers"), context)
    names = [node.name for node in nodes]
    aux = tuple(_read_aux((*root, "aux"), raw.get("aux"), names, context))
    init = tuple(_read_init((*root, "init"), raw.get("init"), scope, report))
    _report_unused(raw, root, blocks, context)
    if report.problems:
        raise ConfigError.of(report.problems)
    return Description(nodes, aux, facts, report, init)


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
) -> Scope:
    """The architecture's `vars`, each able to use those above it, some set by the run file."""
    declared = raw.get("vars") or {}
    if not isinstance(declared, Mapping):
        report.add((*root, "vars"), "'vars' must be a mapping", "write `name: value`")
        declared = {}
    for name in given:
        if name not in declared:
            message = f"the architecture has no variable '{name}'"
            report.add((*given_path, name), message, suggestion(name, declared), key=True)
    scope = Scope({}, known)
    for name, value in declared.items():
        path = (*root, "vars", name)
        if name in known:
            report.add(path, f"'{name}' comes from the data", "choose another name", key=True)
        if name in given:
            path, value = (*given_path, name), given[name]
        scope.define(name, resolve(value, path, scope=scope, report=report))
    return scope


def _read_aux(path: KeyPath, raw: Any, names: list[str], context: Context) -> list[AuxHead]:
    report = context.report
    if raw is None:
        return []
    if not isinstance(raw, list):
        report.add(path, f"'aux' must be a list, not {shown(raw)}", "write `- from: name`")
        return []
    heads = []
    for index, head in enumerate(raw):
        here = (*path, index)
        if not isinstance(head, Mapping) or not {"from", "layers"} <= set(head):
            message = "an auxiliary head needs `from` and `layers`"
            report.add(here, message, "write `- {from: name, weight: 0.3, layers: [...]}`")
            continue
        for key in head:
            if key not in AUX_KEYS:
                message = f"unknown key '{key}' in an auxiliary head"
                report.add((*here, key), message, suggestion(key, AUX_KEYS), key=True)
        source, weight = head["from"], head.get("weight", 1.0)
        weight = resolve(weight, (*here, "weight"), scope=context.scope, report=report)
        if source not in names:
            message = f"'from' names {shown(source)}, but no layer is called so"
            report.add((*here, "from"), message, suggestion(str(source), names))
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            message = f"'weight' must be a number, not {shown(weight)}"
            report.add((*here, "weight"), message, "write the factor of its loss")
            weight = 1.0
        name = str(head.get("as", f"aux{index + 1}"))
        if name in names or not name.isidentifier():
            report.add(here, f"the name '{name}' cannot be used", "choose another with `as`")
        nodes = expand_list((*here, "layers"), context)
        heads.append(AuxHead(name, str(source), float(weight), nodes, here))
    return heads


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
    raw: Mapping[str, Any], root: KeyPath, blocks: Mapping[str, Block], context: Context
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
    for name, block in blocks.items():
        if name not in context.used_blocks:
            report.add(block.path, f"the block '{name}' is never used", "remove it", key=True)
