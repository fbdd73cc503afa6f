"""Edits of an architecture with which its outputs see all of the image, or more at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cnntrain.arch.plan import PlannedNode
from cnntrain.arch.receptive import Field
from cnntrain.assemble.arch_edits import Overrides, with_items_above, with_parameter, without_item

WINDOW = 0.5
"""Side of what a unit is to see before global pooling, of the image's side."""

LEAST_MAP = 4
"""Side of a map that is not pooled any more."""

MOST_MAPS = 256


def same_padding(nodes: Iterable[PlannedNode]) -> Overrides:
    """Convolutions whose windows go up to the border and beyond, and leave nothing out."""
    found: dict[str, None] = {}
    for each in nodes:
        kernel, stride = each.keywords.get("kernel"), each.keywords.get("stride")
        if each.node.operation == "conv" and isinstance(kernel, int) and kernel % 2:
            found |= dict.fromkeys(with_parameter(each.node, "padding", "same"))
            if isinstance(stride, int) and stride > kernel:
                found |= dict.fromkeys(with_parameter(each.node, "stride", kernel))
    return tuple(found)


def finer_maps(nodes: Iterable[PlannedNode]) -> Overrides:
    """Layers that take every second pixel where they took fewer, or else every one."""
    shrinking = [each for each in nodes if each.in_shapes[0][1:] != each.out_shape[1:]]
    is_coarse = [each for each in shrinking if _factor(each) > 2]
    found: dict[str, None] = {}
    for each in is_coarse or shrinking:
        if "pool" not in each.node.operation:
            stride = 2 if is_coarse else 1
            found |= dict.fromkeys(with_parameter(each.node, "stride", stride))
        elif is_coarse:
            found |= dict.fromkeys(with_parameter(each.node, "kernel", 2))
            if each.keywords.get("stride") is not None:
                found |= dict.fromkeys(with_parameter(each.node, "stride", 2))
        else:
            return without_item(each.node)
    return tuple(found)


def _factor(node: PlannedNode) -> float:
    """By how much a layer shrinks the larger side of its maps."""
    return max(node.in_shapes[0][1:]) / max(1, *node.out_shape[1:])


def larger_windows(pool: PlannedNode, field: Field, image: tuple[int, ...]) -> Overrides:
    """Pooling and convolutions above a global pooling, until a unit sees half of the image."""
    maps, *sides = pool.in_shapes[0]
    size, jump = field.height.size, field.height.jump
    side, items = min(sides), list[Any]()
    while size < WINDOW * max(image) and side >= LEAST_MAP:
        maps, side = min(2 * maps, max(MOST_MAPS, maps)), side // 2
        size, jump = size + jump + 2 * (2 * jump), 2 * jump
        convolution = {"conv": {"out": maps, "kernel": 3, "padding": "same"}}
        items += [{"max_pool": {"kernel": 2}}, convolution, "batch_norm", "relu"]
    return with_items_above(pool.node, items) if items else ()
