"""The usual layer that reads and gives the same shapes as a layer of a plugin's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cnntrain.arch.network import Shape
from cnntrain.arch.plan import PlannedNode
from cnntrain.assemble.arch_edits import Overrides, each_replaced, without_items
from cnntrain.show.words import listed

Item = tuple[str, dict[str, Any]]
"""An operation with its parameters."""


def usual_in_place(nodes: Sequence[PlannedNode]) -> Iterator[tuple[str, Overrides]]:
    """How to replace layers of one kind, in words and as overrides.

    Where they only change the number of channels, or have no parameters and make maps of maps, and
    none has these shapes, they are left out.
    """
    usual = [usual_layer(each) for each in nodes]
    changes = [
        (each.node, *item) for each, item in zip(nodes, usual, strict=True) if item is not None
    ]
    if len(changes) == len(nodes):
        kinds = listed(list(dict.fromkeys(operation for _, operation, _ in changes)))
        yield f"with {kinds} in place of", each_replaced(changes)
    elif all(map(_is_extra, nodes)):
        yield "without", without_items(each.node for each in nodes)


def usual_layer(node: PlannedNode) -> Item | None:
    """A convolution, linear layer or pooling; None where none of them has these shapes.

    A layer with parameters gives way to one that learns, any other to pooling.
    """
    if len(node.in_shapes) != 1 or node.nested:
        return None
    (read,), given = node.in_shapes, node.out_shape
    if node.parameters:
        return _learning(read, given)
    if given == read[:1] != read:
        return "global_avg_pool", {}
    step = _step(read, given)
    is_pooled = step > 1 and given == (read[0], *(side // step for side in read[1:]))
    return ("max_pool", {"kernel": step}) if is_pooled else None


def _learning(read: Shape, given: Shape) -> Item | None:
    if len(read) == len(given) == 1:
        return "linear", {"out": given[0]}
    step = _step(read, given)
    for padding in (1, 0) if step else ():
        sides = [(side + 2 * padding - 3) // step + 1 for side in read[1:]]
        if given[1:] == tuple(sides):
            return "conv", {"out": given[0], "kernel": 3, "stride": step, "padding": padding}
    return None


def _step(read: Shape, given: Shape) -> int:
    """How many times as many rows and columns are read as are given; 0 where they are no maps."""
    if not len(read) == len(given) == 3 or 0 in given:
        return 0
    steps = {max(1, whole // part) for whole, part in zip(read[1:], given[1:], strict=True)}
    return steps.pop() if len(steps) == 1 else 0


def _is_extra(node: PlannedNode) -> bool:
    read, given = node.in_shapes[0], node.out_shape
    is_of_maps = len(read) == len(given) == 3 and read != given
    return is_of_maps and (read[1:] == given[1:] or not node.parameters)
