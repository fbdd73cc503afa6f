"""An architecture without some of its layers, as a description of its own.

A layer that is left out passes on what it reads. With a layer that has weights goes what directly
follows it and belongs to it: normalisation, activation and dropout. All others keep their names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain
from typing import Any

from torch import Tensor

from cnntrain.arch.build import build
from cnntrain.arch.expand import Node, Nodes
from cnntrain.arch.expression import Scope, evaluate
from cnntrain.arch.items import COPY, INPUT, RESERVED
from cnntrain.arch.plan import Plan
from cnntrain.core.errors import UsageError
from cnntrain.core.problems import suggestion

OWNERS = ("conv", "conv_transpose", "linear", "local", "sparse_conv", "dropconnect", "pointwise")
COMPANIONS = (
    *("batch_norm", "group_norm", "layer_norm", "local_response_norm"),
    *("relu", "relu6", "leaky_relu", "prelu", "elu", "gelu", "silu", "hard_swish", "softplus"),
    *("sigmoid", "hard_sigmoid", "tanh", "scaled_tanh", "abs"),
    *("dropout", "gaussian_noise", "masking_noise", "gain"),
)


@dataclass(frozen=True)
class Ablated:
    """The architecture section that is left, and the names of all layers that went."""

    section: dict[str, Any]
    removed: tuple[str, ...]


def without(section: Mapping[str, Any], nodes: Nodes, names: Sequence[str]) -> Ablated:
    """Leave layers out of an architecture.

    Args:
        section: the architecture as written: `layers`, `blocks`, ...; it is not changed.
        nodes: its layers, described.
        names: of the outermost layers and blocks, or of one copy of a repeated block.

    Raises:
        UsageError: there is no such layer, it joins several, or it stands inside another one.
    """
    by_name = {node.name: node for node in nodes}
    copies = {name: _copies(by_name, name) for name in names if "." in name}
    wanted = [name for name in names if name not in copies]
    for name in wanted:
        if name in (section.get("heads") or {}):
            message = f"'{name}' is a head, and what it learns would be without one"
            raise UsageError(message, remedy="name a layer of the trunk")
        if name not in by_name:
            raise UsageError(f"there is no layer '{name}'", remedy=suggestion(name, by_name))
    gone = list(_with_companions(nodes, wanted))
    items: list[Any] = []
    stands_for = {INPUT: INPUT}
    above = INPUT
    trunk = [node for node in nodes if "heads" not in node.path[-2:]]
    for node in trunk:
        sources = [stands_for[source] for source in node.sources]
        if node.name in gone:
            if len(sources) > 1:
                message = f"'{node.name}' joins {' and '.join(node.sources)}"
                raise UsageError(message, remedy="leave out one of those in its place")
            stands_for[node.name] = sources[0]
            continue
        if node.named in gone:
            message = f"'{node.name}' ({node.operation}) uses '{node.named}', which would be gone"
            raise UsageError(message, remedy=f"leave out '{node.name}' too")
        fewer = [copy for copy in copies if copy.startswith(f"{node.name}.")]
        reads = None if sources == [above] else sources[0] if len(sources) == 1 else sources
        items.append(_item(section["layers"][node.path[-1]], node, reads, len(fewer)))
        above = stands_for[node.name] = node.name
    if not items:
        raise UsageError("no layer would be left", remedy="name fewer")
    whole = {**section, "layers": items}
    if heads := section.get("heads"):
        ends = {name: stands_for[head.get("from", trunk[-1].name)] for name, head in heads.items()}
        whole["heads"] = {name: {**head, "from": ends[name]} for name, head in heads.items()}
    return Ablated(pruned(whole), (*gone, *copies))


def _copies(by_name: Mapping[str, Node], name: str) -> Node:
    """The repeated block that `name` is a copy of."""
    outer, _, inner = name.partition(".")
    node = by_name.get(outer)
    if node is None:
        raise UsageError(f"there is no layer '{name}'", remedy=suggestion(outer, by_name))
    repeated = [copy.name for copy in node.body if copy.path == node.path]
    if inner in repeated and len(repeated) > 1:
        return node
    raise UsageError(
        f"'{name}' is inside of '{outer}'",
        remedy=f"leave out '{outer}' as a whole, or change the file",
    )


def _with_companions(nodes: Nodes, names: Sequence[str]) -> Iterator[str]:
    """The named layers, and behind each with weights what belongs to it."""
    owner: str | None = None
    for node in nodes:
        is_companion = node.operation in COMPANIONS and node.sources == (owner,)
        if node.name in names or is_companion:
            yield node.name
            owner = node.name if is_companion or node.operation in OWNERS else None
        else:
            owner = None


def _item(
    raw: str | Mapping[str, Any], node: Node, reads: str | list[str] | None, fewer: int
) -> dict[str, Any]:
    """The item of one node, with its name written down."""
    item = {raw: {}} if isinstance(raw, str) else dict(raw)
    operation = next(key for key in item if key not in RESERVED)
    found: dict[str, Any] = {operation: item[operation], "as": node.name}
    if reads is not None:
        found["from"] = reads
    if "as" in item and "repeat" in item:
        found["repeat"] = len(node.body) - fewer if fewer else item["repeat"]
    elif "repeat" in item:
        found[operation] = _counted(item[operation], node.reader.scope)
    return found


def _counted(raw: Any, scope: Scope) -> Any:
    """The parameters of one copy that is an item of its own: values in place of `$copy`."""
    if isinstance(raw, str) and re.search(rf"\${COPY}\b", raw):
        return evaluate(raw, scope)
    if isinstance(raw, list):
        return [_counted(each, scope) for each in raw]
    if isinstance(raw, Mapping) and "repeat" not in raw:
        return {key: _counted(each, scope) for key, each in raw.items()}
    return raw


def pruned(section: Mapping[str, Any]) -> dict[str, Any]:
    """The section without blocks and variables that nothing names any more."""
    section = dict(section)
    blocks, variables = section.get("blocks") or {}, section.get("vars") or {}
    kept: set[str] = set()
    reached: list[Any] = [section.get(key) for key in ("layers", "heads", "aux", "init")]
    while True:
        words = set(_words(reached))
        new = [name for name in (*blocks, *variables) if name in words and name not in kept]
        if not new:
            break
        kept |= set(new)
        reached += [blocks.get(name) for name in new] + [variables.get(name) for name in new]
    for key, given in (("blocks", blocks), ("vars", variables)):
        left = {name: value for name, value in given.items() if name in kept}
        section = {k: v for k, v in section.items() if k != key} | ({key: left} if left else {})
    return section


def _words(value: Any) -> Iterator[str]:
    """Every word in keys and texts."""
    if isinstance(value, str):
        yield from re.findall(r"\w+", value)
    elif isinstance(value, Mapping | list):
        inside = chain(value, value.values()) if isinstance(value, Mapping) else value
        for inner in inside:
            yield from _words(inner)


def without_idle_rules(
    section: Mapping[str, Any], *, modules: Sequence[str], operations: Sequence[str]
) -> dict[str, Any]:
    """The section without those initialisation rules that are for nothing any more.

    Args:
        section: an architecture.
        modules: dotted names of all modules with weights.
        operations: those of all layers.
    """
    rules = [
        rule
        for rule in section.get("init") or []
        if any(fnmatchcase(name, str(rule.get("names", "*"))) for name in modules)
        and rule.get("layers", operations[0]) in operations
    ]
    rest = {key: value for key, value in section.items() if key != "init"}
    return pruned({**rest, "init": rules} if rules else rest)


def rules_in_use(section: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """The section without the rules that are for nothing in the network that is planned of it."""
    net = build(plan, device="meta")
    modules = [
        name
        for name, module in net.named_modules()
        if isinstance(getattr(module, "weight", None), Tensor)
    ]
    operations = tuple(net.operations.values())
    return without_idle_rules(section, modules=modules, operations=operations)


def variables_in_use(variables: Mapping[str, Any], section: Mapping[str, Any]) -> dict[str, Any]:
    """Those settings of variables that the section still has."""
    return {name: value for name, value in variables.items() if name in section.get("vars", {})}
