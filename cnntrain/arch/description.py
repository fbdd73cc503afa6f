"""An architecture as it is described: the section with vars, blocks, layers, aux and init."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cnntrain.arch.expand import Context, Nodes
from cnntrain.arch.expression import Scope, Unavailable
from cnntrain.arch.heads import IN_TRUNK, classes_in_scope, expand_some, with_heads
from cnntrain.arch.items import Reader, is_word, other_name, read_blocks
from cnntrain.core.complaints import shown, value_at
from cnntrain.core.document import Document, KeyPath
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Problem, near_match, suggestion

KEYS = ("made_for", "vars", "blocks", "layers", "heads", "aux", "init")
MADE_FOR = {"classes": 1000, "channels": 3, "size": 224}
"""The images that an architecture file is planned for where no run file says what there is."""

GIVEN_AT = ("vars",)
"""Where a run file sets variables."""
AUX_KEYS = ("as", "from", "weight", "layers")


@dataclass(frozen=True)
class Facts:
    """What the data say to the architecture, by the names that `$` gives; None: not known.

    No classes at all, 0, are those of a network that is to give images. `of_heads` are the numbers
    of outputs of heads, by name; without a name there it is `num_classes`.
    """

    num_classes: int | None
    image_channels: int
    image_height: int
    image_width: int
    of_heads: Mapping[str, int | None] = field(default_factory=dict)


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
    """An architecture with its names resolved and its parameters checked, but without shapes.

    `nodes` are those of the trunk, of `heads`, and one that joins these; see `cnntrain.arch.heads`.
    """

    nodes: Nodes
    aux: tuple[AuxHead, ...]
    facts: Facts
    reader: Reader
    init: tuple[tuple[KeyPath, Mapping[str, Any]], ...]
    heads: tuple[str, ...] = ()


def is_architecture(data: Any) -> bool:
    """Whether what a file holds is an architecture, not a run file; a misspelt key may say so."""
    if not isinstance(data, Mapping) or {"arch", "data", "train"} & data.keys():
        return False
    return any(near_match(key, ("layers", "blocks", "made_for")) for key in data)


def describe(
    document: Document,
    *,
    root: KeyPath = (),
    facts: Facts,
    variables: Mapping[str, Any] | None = None,
) -> Description:
    """Read the architecture at `root` of a document; arguments as those of `try_to_describe`.

    Raises:
        ConfigError: with everything that is wrong, but for shapes.
    """
    description, problems = try_to_describe(document, root=root, facts=facts, variables=variables)
    if description is None or problems:
        raise ConfigError.of(problems)
    return description


def try_to_describe(
    document: Document,
    *,
    root: KeyPath = (),
    facts: Facts,
    variables: Mapping[str, Any] | None = None,
) -> tuple[Description | None, list[Problem]]:
    """The architecture, where it can be planned in spite of what is wrong with it; and the latter.

    Args:
        document: a run file with an architecture in it, or an architecture file.
        root: where the architecture is in the document.
        facts: number of classes and size of the images, `$num_classes`, `$image_size`, ...
        variables: values for the architecture's `vars`, from the run file's `vars`.
    """
    reader = Reader(document)
    raw = reader.value(root)
    keys = raw if isinstance(raw, Mapping) else {}
    meant = reader.add_unknown(keys, root, KEYS, "the architecture")
    if not isinstance(raw, Mapping) or "layers" not in raw:
        if "layers" not in meant:
            reader.add(root, "an architecture must have `layers:`", "add a list of layers")
        return None, reader.problems
    if "made_for" in raw:
        _check_made_for(raw["made_for"], (*root, "made_for"), reader)
    harmless = reader.count
    given = {key: value for key, value in raw.items() if value is not None}
    reader = reader.inside(Scope({}, Scope(_data_names(facts, has_heads="heads" in given))))
    _define_variables(given.get("vars", {}), (*root, "vars"), variables or {}, reader)
    if reader.count > harmless:  # all that uses the variables would look wrong, too
        return None, reader.problems
    blocks = read_blocks((*root, "blocks"), reader) if "blocks" in given else {}
    context = Context(reader, reader.scope, blocks)
    nodes = expand_some((*root, "layers"), context)
    heads: tuple[str, ...] = ()
    if "heads" in given:
        at, counts = (*root, "heads"), facts.of_heads
        nodes, heads = with_heads(
            at, given["heads"], nodes, context, counts=counts, usual=facts.num_classes
        )
    names = [node.name for node in nodes]
    aux = _read_aux((*root, "aux"), given["aux"], names, context) if "aux" in given else ()
    if aux and heads:
        message = "auxiliary heads give what the network gives, which is that of several heads here"
        reader.add((*root, "aux"), message, "remove `aux:`, or make heads of it", key=True)
    init = _read_init((*root, "init"), given["init"], reader) if "init" in given else ()
    can_be_planned = reader.count == harmless
    if not reader.problems:  # what has no effect is a mistake, too, but not worth a word beside one
        used, remedy = reader.scope.used, "write ${} where it belongs, or remove it"
        reader.add_unused(given.get("vars", {}), used, (*root, "vars"), "the variable '{}'", remedy)
        remedy = "name it in `layers:`, or remove it"
        reader.add_unused(blocks, context.used_blocks, (*root, "blocks"), "the block '{}'", remedy)
    description = Description(nodes, aux, facts, reader, init, heads)
    return (description if can_be_planned else None), reader.problems


def usual_facts(document: Document, *, root: KeyPath = ()) -> Facts:
    """The images that an architecture is made for: its `made_for`, or 224x224 ones of ImageNet.

    What is wrong with `made_for` is passed over here and reported by `describe`.
    """
    raw = value_at(document.data, root)
    given = raw.get("made_for") if isinstance(raw, Mapping) else None
    stated = given if isinstance(given, Mapping) else {}
    known = {**MADE_FOR, **{key: value for key, value in stated.items() if _is_count(value)}}
    return Facts(known["classes"], known["channels"], known["size"], known["size"])


def _check_made_for(given: Any, path: KeyPath, reader: Reader) -> None:
    if not isinstance(given, Mapping):
        remedy = "write `{classes: 1000, channels: 3, size: 224}`"
        reader.add(path, "'made_for' must be a mapping", remedy)
        return
    reader.add_unknown(given, path, MADE_FOR, "made_for")
    for key, value in given.items():
        if key in MADE_FOR and not _is_count(value):
            message = f"'{key}' must be an integer of 1 or more, not {shown(value)}"
            reader.add((*path, key), message, "correct the value")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _data_names(facts: Facts, *, has_heads: bool) -> dict[str, int | Unavailable | None]:
    names = {name: value for name, value in asdict(facts).items() if name != "of_heads"}
    names["num_classes"] = IN_TRUNK if has_heads else classes_in_scope(facts.num_classes)
    if facts.image_height == facts.image_width:
        names["image_size"] = facts.image_height
    return names


def _define_variables(
    declared: Any, path: KeyPath, given: Mapping[str, Any], reader: Reader
) -> None:
    """Put `vars` into the scope, each able to use those above it, some set by the run file."""
    if not isinstance(declared, Mapping):
        message = f"'vars' must be a mapping, not {shown(declared)}"
        reader.add(path, message, "write `name: value`")
        return
    for name in given:
        if name not in declared:
            message = f"the architecture has no variable '{name}'"
            reader.add((*GIVEN_AT, name), message, suggestion(name, declared), key=True)
    for name, value in declared.items():
        here = (*path, name)
        if remedy := other_name(name):
            reader.add(here, f"a variable cannot be called '{name}'", remedy, key=True)
        if name in reader.scope:
            reader.add(here, f"'{name}' comes from the data", "choose another name", key=True)
        if name in given:
            here, value = (*GIVEN_AT, name), given[name]
        reader.scope[name] = reader.resolve(value, here)


def _read_aux(path: KeyPath, raw: Any, names: list[str], context: Context) -> tuple[AuxHead, ...]:
    if not isinstance(raw, list):
        message = f"'aux' must be a list, not {shown(raw)}"
        context.reader.add(path, message, "write `- from: name`")
        return ()
    heads: list[AuxHead] = []
    for index, each in enumerate(raw):
        taken = [*names, *(head.name for head in heads)]
        head = _read_head(each, f"aux{index + 1}", (*path, index), names, taken, context)
        heads += [head] if head is not None else []
    return tuple(heads)


def _read_head(
    head: Any,
    usual_name: str,
    path: KeyPath,
    names: list[str],
    taken: list[str],
    context: Context,
) -> AuxHead | None:
    reader = context.reader
    keys = head if isinstance(head, Mapping) else {}
    meant = reader.add_unknown(keys, path, AUX_KEYS, "an auxiliary head")
    if not isinstance(head, Mapping) or not {"from", "layers"} <= set(head):
        message = "an auxiliary head needs `from` and `layers`"
        if not {"from", "layers"} <= {*keys, *meant}:
            reader.add(path, message, "write `- {from: name, weight: 0.3, layers: [...]}`")
        return None
    is_whole = not reader.problems
    if head["from"] not in names and is_whole:
        message = f"'from' names {shown(head['from'])}, but no layer of the network is called so"
        reader.add((*path, "from"), message, suggestion(str(head["from"]), names))
    weight = _weight(head.get("weight", 1.0), (*path, "weight"), reader)
    name = head.get("as", usual_name)
    if not is_word(name) or name in taken:
        why = "is taken" if name in taken else "is not a word of letters, digits and _"
        reader.add((*path, "as"), f"the name '{name}' {why}", "choose another with `as`")
    nodes = expand_some((*path, "layers"), context)
    return AuxHead(str(name), str(head["from"]), weight, nodes, path)


def _weight(raw: Any, path: KeyPath, reader: Reader) -> float:
    before = reader.count
    weight = reader.resolve(raw, path)
    if isinstance(weight, int | float) and not isinstance(weight, bool) and 0 < weight < math.inf:
        return float(weight)
    if reader.count == before:
        message = f"'weight' must be a number greater than 0, not {shown(weight)}"
        reader.add(path, message, "write the factor of this head's loss")
    return 1.0


def _read_init(
    path: KeyPath, raw: Any, reader: Reader
) -> tuple[tuple[KeyPath, Mapping[str, Any]], ...]:
    if not isinstance(raw, list) or not all(isinstance(rule, Mapping) for rule in raw):
        message = "'init' must be a list of rules"
        reader.add(path, message, "write `- {layers: conv, weight: kaiming}`")
        return ()
    rules = [((*path, index), rule) for index, rule in enumerate(raw)]
    return tuple((here, reader.resolve(rule, here)) for here, rule in rules)
