"""Changes of an architecture as what follows `-s`, so that a remedy can be pasted and tried.

Nodes of an architecture file that no run file names have no overrides.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cnntrain.arch.expand import Node
from cnntrain.arch.items import RESERVED
from cnntrain.config.loaded import ARCH_AT
from cnntrain.config.resolved import in_line
from cnntrain.core.complaints import value_at
from cnntrain.core.document import KeyPath

Overrides = tuple[str, ...]


def with_parameter(node: Node, key: str, value: Any) -> Overrides:
    """A parameter of a layer, at the item that it comes from: in all copies of a block, too."""
    if not in_run_file(node):
        return ()
    item = node.reader.value(node.path)
    if isinstance(item, str):
        return (overriding(node.path, {item: {key: value}}),)
    if isinstance(item.get(node.operation), Mapping):
        return (overriding((*node.path, node.operation, key), value),)
    return (overriding((*node.path, node.operation), {key: value}),)


def with_item_behind(
    nodes: Iterable[Node], item: Any, *, instead: Mapping[str, str] | None = None
) -> Overrides:
    """Another layer behind each of them, and behind a normalisation that directly follows it.

    Args:
        nodes: layers.
        item: the other layer.
        instead: names of layers without parameters in the same lists -> what takes their place.
    """

    def insert(items: list[Any], path: KeyPath) -> None:
        at = _place(path) + 1
        at += at < len(items) and _operation(items[at]).endswith("norm")
        items.insert(at, item)

    def rename(items: list[Any]) -> None:
        items[:] = [(instead or {}).get(it, it) if isinstance(it, str) else it for it in items]

    return _edited(nodes, insert, rename)


def without_items(nodes: Iterable[Node]) -> Overrides:
    """The lists without any of these layers."""

    def remove(items: list[Any], path: KeyPath) -> None:
        del items[_place(path)]

    return _edited(nodes, remove)


def all_replaced(nodes: Iterable[Node], operation: str) -> Overrides:
    """Another layer, without parameters, in the place of each, with its name and its sources."""
    return each_replaced([(node, operation, {}) for node in nodes])


def each_replaced(changes: Iterable[tuple[Node, str, Mapping[str, Any]]]) -> Overrides:
    """The same, where each has another operation, or other parameters."""
    found = {node.path: (node, operation, given) for node, operation, given in changes}

    def replace(items: list[Any], path: KeyPath) -> None:
        _, operation, given = found[path]
        place = _place(path)
        kept = _reserved(items[place])
        items[place] = {operation: dict(given), **kept} if kept or given else operation

    return _edited([node for node, *_ in found.values()], replace)


def _edited(
    nodes: Iterable[Node],
    edit: Callable[[list[Any], KeyPath], None],
    finish: Callable[[list[Any]], None] = lambda items: None,
) -> Overrides:
    """The outermost lists of these layers, changed at the place of each, then each as a whole."""
    found = {node.path: node for node in nodes if in_run_file(node)}
    if not found:
        return ()
    tree = {ARCH_AT[0]: copy.deepcopy(next(iter(found.values())).reader.value(ARCH_AT))}
    lists: dict[KeyPath, list[Any]] = {path[:-1]: value_at(tree, path[:-1]) for path in found}
    # what stands later first: so the places of the others stay
    for path in sorted(found, key=_place, reverse=True):
        edit(lists[path[:-1]], path)
    for items in lists.values():
        finish(items)
    inside = [path for path in lists if any(path[: len(o)] == o != path for o in lists)]
    return tuple(overriding(path, lists[path]) for path in lists if path not in inside)


def without_item(node: Node) -> Overrides:
    """The list without this layer."""
    return without_items([node])


def with_items_above(node: Node, items: Sequence[Any]) -> Overrides:
    """The list with other layers above this one."""
    if not in_run_file(node):
        return ()
    found, place = list(node.reader.value(node.path[:-1])), _place(node.path)
    found[place:place] = items
    return (overriding(node.path[:-1], found),)


def replaced(node: Node, operation: str, parameters: Mapping[str, Any]) -> Overrides:
    """Another layer in the place of this one, under the same name and with the same sources."""
    if not in_run_file(node):
        return ()
    item = node.reader.value(node.path)
    kept = _reserved(item)
    is_plain = not parameters and not kept
    changed = operation if is_plain else {operation: dict(parameters), **kept}
    return (overriding(node.path, changed),)


def in_run_file(node: Node) -> bool:
    """Whether the node's item stands in the run file itself, in a list."""
    return node.path[:1] == ARCH_AT and isinstance(node.path[-1], int)


def _reserved(item: Any) -> dict[str, Any]:
    """What an item says of its name and its sources."""
    return {} if isinstance(item, str) else {key: item[key] for key in RESERVED if key in item}


def _place(path: KeyPath) -> int:
    place = path[-1]
    assert isinstance(place, int)
    return place


def _operation(item: Any) -> str:
    keys = [item] if isinstance(item, str) else [key for key in item if key not in RESERVED]
    return str(keys[0])


def overriding(path: KeyPath, value: Any) -> str:
    """A value of the run file, as it follows `-s`."""
    return f"{'.'.join(map(str, path))}={in_line(value)}"
