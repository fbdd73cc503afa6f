"""From items to nodes: names given, blocks opened, arithmetic done, parameters checked.

No torch here: everything that can be wrong but the shapes is found in this pass, all at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cnntrain.arch.expression import Scope
from cnntrain.arch.items import INPUT, Item, Reporter, read_items, resolve
from cnntrain.core.complaints import shown, value_at
from cnntrain.core.document import KeyPath
from cnntrain.core.entry import Entry
from cnntrain.core.problems import Problem, suggestion
from cnntrain.layers import LAYERS

Nodes = tuple["Node", ...]


@dataclass(frozen=True)
class Node:
    """One named layer, or a named group of nodes (a block, or a repeated item with `as`).

    A layer has `entry`, `keywords` and `nested` (parameter -> nodes, or -> path name -> nodes);
    a group has `body`. `sources` are names above in the same list, or `input`. `problem` makes a
    message at the node's own line.
    """

    name: str
    operation: str
    sources: tuple[str, ...]
    report: Reporter
    path: KeyPath
    entry: Entry | None = None
    keywords: Mapping[str, Any] = field(default_factory=dict)
    nested: Mapping[str, Nodes | Mapping[str, Nodes]] = field(default_factory=dict)
    body: Nodes = ()

    def problem(self, message: str, remedy: str) -> Problem:
        """A problem at this node's line."""
        return self.report.problem(self.path, message, remedy)


@dataclass(frozen=True)
class Block:
    """A macro: its name, the path of its list, its parameters with defaults (None: required)."""

    name: str
    path: KeyPath
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Context:
    """What a list of items is read with: names, blocks, and the blocks that are being opened."""

    scope: Scope
    globals: Scope
    report: Reporter
    blocks: Mapping[str, Block]
    used_blocks: set[str]
    opened: tuple[str, ...] = ()


def read_blocks(path: KeyPath, *, report: Reporter) -> dict[str, Block]:
    """The macros at `path`, checked for their form."""
    raw = value_at(report.document.data, path)
    if not isinstance(raw, Mapping):
        report.add(path, f"'blocks' must be a mapping, not {shown(raw)}", "write `name: {...}`")
        return {}
    blocks = {}
    for name, body in raw.items():
        here = (*path, name)
        if LAYERS.find(name) is not None:
            report.add(here, f"the block '{name}' would hide a layer", "rename it", key=True)
        elif not isinstance(body, Mapping) or "layers" not in body:
            remedy = "write `{params: {...}, layers: [...]}`"
            report.add(here, f"the block '{name}' has no layers", remedy, key=True)
        else:
            for key in body:
                if key not in ("params", "layers"):
                    remedy = suggestion(key, ("params", "layers"))
                    message = f"unknown key '{key}' in the block '{name}'"
                    report.add((*here, key), message, remedy, key=True)
            params = body.get("params") or {}
            if isinstance(params, Mapping):
                blocks[name] = Block(name, here, params)
            else:
                message = f"'params' must be a mapping, not {shown(params)}"
                report.add((*here, "params"), message, "write `{name: default}`")
    return blocks


def expand_list(path: KeyPath, context: Context) -> Nodes:
    """The nodes of the list of items at `path`; problems go to `context.report`."""
    nodes: list[Node] = []
    names: list[str] = []
    ordinals: Counter[str] = Counter()
    items = list(read_items(path, scope=context.scope, report=context.report))
    later = {item.name for item in items if item.name}
    for item in items:
        sources = _checked_sources(item, names, later, context.report)
        name = item.name or item.operation
        if item.name is not None and item.repeat != 1:
            copies = tuple(_copies(item, (INPUT,), Counter(), context))
            group = Node(name, item.operation, sources, context.report, item.path, body=copies)
            new = [group] if copies else []
            ordinals[item.operation] += item.repeat
        else:
            new = _copies(item, sources, ordinals, context)
        for node in new:
            if node.name in names:
                message = f"the name '{node.name}' is taken by a layer above"
                context.report.add(item.path, message, "choose another name with `as`")
        nodes += new
        names += [node.name for node in new] or [item.name or ""]
    return tuple(nodes)


def _copies(
    item: Item, sources: tuple[str, ...], ordinals: Counter[str], context: Context
) -> list[Node]:
    """`repeat` copies of an item, each reading the one before."""
    copies: list[Node] = []
    for _ in range(item.repeat):
        ordinals[item.operation] += 1
        alone = item.name if item.repeat == 1 else None
        name = alone or f"{item.operation}{ordinals[item.operation]}"
        reads = (copies[-1].name,) if copies else sources
        node = _make_node(item, name, reads, context)
        if node is None:
            return copies
        copies.append(node)
    return copies


def _checked_sources(
    item: Item, above: list[str], later: set[str], report: Reporter
) -> tuple[str, ...]:
    if item.sources is None:
        return (above[-1] if above else INPUT,)
    for source in item.sources:
        if source in above or source == INPUT:
            continue
        message = f"'from' names '{source}', but no layer above in this list is called so"
        remedy = suggestion(source, [*above, INPUT])
        if source in later:
            message = f"'from' names '{source}', which stands below (that would make a cycle)"
            remedy = "a layer can read only layers above it: move one of the two"
        report.add((*item.path, "from"), message, remedy)
    return item.sources


def _make_node(item: Item, name: str, sources: tuple[str, ...], context: Context) -> Node | None:
    if item.operation in context.blocks:
        return _open_block(item, name, sources, context)
    entry = LAYERS.find(item.operation)
    if entry is None:
        known = [*context.blocks, *LAYERS.names()]
        message = f"unknown layer or block '{item.operation}'"
        near = suggestion(item.operation, known)
        remedy = near if near.startswith("did") else "`cnntrain list layers` shows what there is"
        path = item.parameters_path
        context.report.add(path, message, remedy, key=True)
        return None
    if len(sources) > 1 and entry.options.get("inputs") != "many":
        message = f"'{item.operation}' reads one layer, but 'from' names {len(sources)}"
        context.report.add((*item.path, "from"), message, "join them with concat or add first")
    nested = {
        p.name: _expand_nested(item, p.name, p.nested, context)
        for p in entry.parameters
        if p.nested and item.parameters.get(p.name) is not None
    }
    plain = {k: v for k, v in item.parameters.items() if k not in nested}
    before = context.report.count
    values = resolve(plain, item.parameters_path, scope=context.scope, report=context.report)
    if context.report.count > before:
        return None
    keywords, found = entry.check({**values, **dict.fromkeys(nested)})
    for complaint in found:
        where = (*item.parameters_path, *complaint.path)
        key = complaint.at_key
        context.report.add(where, complaint.message, complaint.remedy, key=key)
    keywords = {k: v for k, v in keywords.items() if k not in nested}
    return Node(name, item.operation, sources, context.report, item.path, entry, keywords, nested)


def _expand_nested(
    item: Item, parameter: str, form: str | None, context: Context
) -> Nodes | dict[str, Nodes]:
    path = (*item.parameters_path, parameter)
    if form == "list":
        return expand_list(path, context)
    named = item.parameters[parameter]
    if not isinstance(named, Mapping) or not named:
        message = f"'{parameter}' must be a mapping of named lists, not {shown(named)}"
        context.report.add(path, message, "write `name: [layers]`")
        return {}
    return {key: expand_list((*path, key), context) for key in named}


def _open_block(item: Item, name: str, sources: tuple[str, ...], context: Context) -> Node | None:
    block, report = context.blocks[item.operation], context.report
    context.used_blocks.add(block.name)
    if block.name in context.opened:
        circle = " > ".join([*context.opened[context.opened.index(block.name) :], block.name])
        report.add(item.path, f"the block '{block.name}' contains itself: {circle}", "break it")
        return None
    if len(sources) > 1:
        message = f"the block '{block.name}' reads one layer, but 'from' names {len(sources)}"
        report.add((*item.path, "from"), message, "join them with concat or add first")
    given = _block_arguments(item, block, context)
    if given is None:
        return None
    inner = Scope({}, context.globals)
    for key, default in block.parameters.items():
        path = (*block.path, "params", key)
        inside = default if key in given else resolve(default, path, scope=inner, report=report)
        inner.define(key, given.get(key, inside))
    place = report.place(item.path)
    use = f"in the block '{block.name}', used in line {place.line if place else '?'}"
    opened = (*context.opened, block.name)
    inner_context = replace(context, scope=inner, report=report.inside(use), opened=opened)
    body = expand_list((*block.path, "layers"), inner_context)
    for key in block.parameters:
        if key not in inner.used:
            path = (*block.path, "params", key)
            message = f"the parameter '{key}' of the block '{block.name}' is never used"
            report.add(path, message, f"write ${key} where it belongs, or remove it", key=True)
    return Node(name, item.operation, sources, report, item.path, body=body)


def _block_arguments(item: Item, block: Block, context: Context) -> dict[str, Any] | None:
    """The parameters that an item gives to a block, or None where something is wrong."""
    report = context.report
    before = report.count
    given = resolve(item.parameters, item.parameters_path, scope=context.scope, report=report)
    for key in given:
        if key not in block.parameters:
            message = f"unknown parameter '{key}' of the block '{block.name}'"
            remedy = suggestion(key, block.parameters)
            report.add((*item.parameters_path, key), message, remedy, key=True)
    for key, default in block.parameters.items():
        if default is None and key not in given:
            message = f"'{key}' is missing in '{block.name}'"
            report.add(item.parameters_path, message, f"add `{key}: ...`", key=True)
    return dict(given) if report.count == before else None
