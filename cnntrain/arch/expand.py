"""From items to nodes: names given, blocks opened, arithmetic done, parameters checked.

No torch here: everything that can be wrong but the shapes is found in this pass, all at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from cnntrain.arch.expression import Scope
from cnntrain.arch.items import COPY, INPUT, Block, Item, Reader, read_items
from cnntrain.core.complaints import Complaint, shown, value_at
from cnntrain.core.document import KeyPath
from cnntrain.core.entry import Entry, Parameter
from cnntrain.core.problems import Problem, near_match, suggestion
from cnntrain.layers import LAYERS

Nodes = tuple["Node", ...]
MAX_LAYERS = 10_000
"""More is a slip: a `repeat` inside a repeated block inside a repeated block."""


@dataclass(frozen=True)
class Node:
    """One named layer, or a named group of nodes (a block, or a repeated item with `as`).

    A layer has `entry`, `keywords` and in `nested` its lists, by parameter or by parameter and path
    (`body`, `paths.one`); a group has only its list, under the empty name. `sources` are names
    above in the same list, or `input`.
    """

    name: str
    operation: str
    sources: tuple[str, ...]
    reader: Reader
    path: KeyPath
    entry: Entry | None = None
    keywords: Mapping[str, Any] = field(default_factory=dict)
    nested: Mapping[str, Nodes] = field(default_factory=dict)

    @property
    def named(self) -> str | None:
        """The layer above that a parameter names, of a layer with the option `names`."""
        option = None if self.entry is None else self.entry.options.get("names")
        return None if option is None else str(self.keywords[option])

    @property
    def body(self) -> Nodes:
        """The nodes of a group."""
        return self.nested.get("", ())

    def problem(self, message: str, remedy: str) -> Problem:
        """A problem at this node's line."""
        return self.reader.problem(self.path, message, remedy)


@dataclass(frozen=True)
class Context:
    """What a list of items is read with.

    Attributes:
        reader: knows what `$` means in this list, and takes what is wrong.
        globals: the variables, which every block sees.
        blocks: all blocks; None where one is wrong in itself.
        used_blocks: collects the blocks that an item names.
        numbers: counts the layers of the whole network.
        opened: the blocks that this list is inside of.
    """

    reader: Reader
    globals: Scope
    blocks: Mapping[str, Block | None]
    used_blocks: set[str] = field(default_factory=set)
    numbers: Iterator[int] = field(default_factory=count)
    opened: tuple[str, ...] = ()


def expand_list(path: KeyPath, context: Context) -> Nodes:
    """The nodes of the list of items at `path`; problems go to the reader."""
    reader = context.reader
    nodes: list[Node] = []
    ordinals: Counter[str] = Counter()
    before = reader.count
    items = list(read_items(path, reader))
    below = {item.name for item in items if item.name}
    for item in items:
        is_whole = reader.count == before
        above = [node.name for node in nodes]
        sources = _checked_sources(item, above, below, reader, is_whole=is_whole)
        new = _make_nodes(item, sources, ordinals, context)
        for node in new:
            if node.name in above:
                message = f"the name '{node.name}' is taken by a layer above"
                reader.add(item.path, message, "choose another name with `as`")
        nodes += new
    return tuple(nodes)


def _make_nodes(
    item: Item, sources: tuple[str, ...], ordinals: Counter[str], context: Context
) -> list[Node]:
    """An item's nodes: one, or its copies, or one group of its copies where it has a name.

    Copies read the one before. Zero copies are as if the item were not there, but are checked; a
    group of none passes its input on. In the parameters of a copy `$copy` is the number of copies
    above it.
    """
    repeat = 1 if item.repeat is None else item.repeat
    if repeat != 1 and len(sources) > 1:
        message = f"a repeated item reads one layer, but 'from' names {len(sources)}"
        remedy = "join them above it, or remove `repeat`"
        context.reader.add((*item.path, "from"), message, remedy)
        return []
    is_group = item.name is not None and repeat != 1
    first = 0 if is_group else ordinals[item.operation]
    ordinals[item.operation] += repeat
    copies: list[Node] = []
    for number in range(max(repeat, 1)):
        name = f"{item.operation}{first + number + 1}"
        reads = (copies[-1].name,) if copies else (INPUT,) if is_group else sources
        here = context if item.repeat is None else _inside_copy(number, context)
        node = _make_node(item, name if is_group else item.name or name, reads, here)
        if node is None:
            return []
        copies.append(node)
    copies = copies[:repeat]
    if not is_group or item.name is None:
        return copies
    body = {"": tuple(copies)}
    return [Node(item.name, item.operation, sources, context.reader, item.path, nested=body)]


def _inside_copy(number: int, context: Context) -> Context:
    reader = context.reader
    return replace(context, reader=reader.inside(Scope({COPY: number}, reader.scope)))


def _checked_sources(
    item: Item, above: list[str], below: set[str], reader: Reader, *, is_whole: bool
) -> tuple[str, ...]:
    """What an item reads; `is_whole`: nothing above is wrong, so `above` has all names."""
    if item.sources is None:
        return (above[-1] if above else INPUT,)
    for source in item.sources:
        if source in above or source == INPUT or not is_whole:
            continue
        message = f"'from' names '{source}', but no layer above in this list is called so"
        remedy = suggestion(source, [*above, INPUT])
        if source in below:
            message = f"'from' names '{source}', which stands below (that would make a cycle)"
            remedy = "a layer can read only layers above it: move one of the two"
        if source == item.name:
            message, remedy = f"'{source}' reads itself", "name a layer above it"
        reader.add((*item.path, "from"), message, remedy)
    return item.sources


def _make_node(item: Item, name: str, sources: tuple[str, ...], context: Context) -> Node | None:
    reader = context.reader
    number = next(context.numbers)
    if number == MAX_LAYERS:
        reader.add(item.path, f"the network has more than {MAX_LAYERS:,} layers", "lower `repeat`")
    if number >= MAX_LAYERS:
        return None
    if item.operation in context.blocks:
        return _open_block(item, name, sources, context)
    entry = LAYERS.find(item.operation)
    if entry is None:
        near = suggestion(item.operation, [*context.blocks, *LAYERS.names()])
        listed = "`cnntrain list layers` shows what there is; for one of your own name its file in "
        remedy = near if near.startswith("did") else f"{listed}`plugins`, or with --plugin"
        message = f"unknown layer or block '{item.operation}'"
        reader.add(item.parameters_path, message, remedy, key=True)
        return None
    _check_inputs(item, sources, joins=entry.options.get("inputs") == "many", reader=reader)
    lists = {
        p.name: _expand_nested(item, p, context)
        for p in entry.parameters
        if p.nested and p.name in item.parameters
        if p.required or item.parameters[p.name] is not None
    }
    plain = {key: value for key, value in item.parameters.items() if key not in lists}
    before = reader.count
    values = reader.resolve(plain, item.parameters_path)
    if reader.count > before:
        return None
    keywords, found = entry.check({**values, **dict.fromkeys(lists)})
    for complaint in found:
        where = (*item.parameters_path, *complaint.path)
        message, remedy = _with_expression(complaint, item.parameters, reader.scope)
        reader.add(where, message, remedy, key=complaint.at_key)
    keywords = {key: value for key, value in keywords.items() if key not in lists}
    nested = {key: nodes for each in lists.values() for key, nodes in each.items()}
    return Node(name, item.operation, sources, reader, item.path, entry, keywords, nested)


def _with_expression(
    complaint: Complaint, parameters: Mapping[str, Any], scope: Scope
) -> tuple[str, str]:
    """Message and remedy; a wrong value that was computed is shown with its expression."""
    raw = None if complaint.at_key else value_at(parameters, complaint.path)
    if isinstance(raw, str) and raw in scope:
        return complaint.message, f"write ${raw}"
    if not isinstance(raw, str) or "$" not in raw:
        return complaint.message, complaint.remedy
    divides = "/" in raw.replace("//", "")
    remedy = "divide with // to round down" if divides else "change the expression or the variable"
    return f"{complaint.message}, which is '{raw}'", remedy


def _check_inputs(item: Item, sources: tuple[str, ...], *, joins: bool, reader: Reader) -> None:
    if len(sources) > 1 and not joins:
        message = f"'{item.operation}' reads one layer, but 'from' names {len(sources)}"
        reader.add((*item.path, "from"), message, "join them with concat or add first")
    if len(sources) == 1 and joins:
        message = f"'{item.operation}' joins several layers, but reads one"
        remedy = "name them: `from: [one, other]`"
        reader.add((*item.path, "from"), message, remedy, key=True)


def _expand_nested(item: Item, parameter: Parameter, context: Context) -> dict[str, Nodes]:
    """The list of layers of one parameter, or its named lists."""
    name, path = parameter.name, (*item.parameters_path, parameter.name)
    if parameter.nested == "list":
        return {name: expand_list(path, context)}
    named = item.parameters[name]
    if not isinstance(named, Mapping) or not named:
        message = f"'{name}' must be a mapping of named lists, not {shown(named)}"
        context.reader.add(path, message, f"write `{name}: {{name: [...], other: [...]}}`")
        return {}
    return {f"{name}.{key}": expand_list((*path, key), context) for key in named}


def _open_block(item: Item, name: str, sources: tuple[str, ...], context: Context) -> Node | None:
    block, reader = context.blocks[item.operation], context.reader
    context.used_blocks.add(item.operation)
    if block is None:
        return None
    if block.name in context.opened:
        circle = " > ".join([*context.opened[context.opened.index(block.name) :], block.name])
        message = f"the block '{block.name}' contains itself: {circle}"
        reader.add(item.path, message, "take one of them out; `repeat` stacks copies")
        return None
    _check_inputs(item, sources, joins=False, reader=reader)
    scope = _block_scope(item, block, context)
    if scope is None:
        return None
    place = reader.document.places.of(item.path)
    use = f"in the block '{block.name}', used in line {place.line if place else '?'}"
    opened = (*context.opened, block.name)
    before = reader.count
    inner = replace(context, reader=reader.inside(scope, use), opened=opened)
    body = expand_list((*block.path, "layers"), inner)
    if reader.count > before:
        return None
    what = f"the parameter '{{}}' of the block '{block.name}'"
    remedy = "write ${} where it belongs, or remove it"
    reader.add_unused(block.parameters, scope.used, (*block.path, "params"), what, remedy)
    return Node(name, item.operation, sources, reader, item.path, nested={"": body})


def _block_scope(item: Item, block: Block, context: Context) -> Scope | None:
    """What `$` means in a block: the parameters that an item gives, the defaults, the variables.

    None where something is wrong with them.
    """
    reader = context.reader
    before = reader.count
    given = reader.resolve(item.parameters, item.parameters_path)
    misspelt = set()
    for key in given:
        if key not in block.parameters:
            message = f"unknown parameter '{key}' of the block '{block.name}'"
            remedy = suggestion(key, block.parameters, taken=given)
            reader.add((*item.parameters_path, key), message, remedy, key=True)
            misspelt.add(near_match(key, block.parameters, taken=given))
    for key, default in block.parameters.items():
        if default is None and key not in given and key not in misspelt:
            message = f"'{key}' is missing in '{block.name}'"
            reader.add(item.parameters_path, message, f"add `{key}: ...`", key=True)
    scope = Scope({}, context.globals)
    inner = reader.inside(scope)
    for key, default in block.parameters.items():
        if key in given:
            scope[key] = given[key]
        else:
            scope[key] = inner.resolve(default, (*block.path, "params", key))
    return scope if reader.count == before else None
