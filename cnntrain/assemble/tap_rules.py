"""Weights of a convolution that read nothing but padding, wherever its window stands."""

from __future__ import annotations

import math
from collections.abc import Iterator

from cnntrain.arch.plan import Plan, PlannedNode
from cnntrain.assemble.arch_edits import with_parameter
from cnntrain.core.remark import Remark, at_line
from cnntrain.layers.shapes import pair

IDLE = 0.5
"""Share of a kernel's weights from which on it is a fault. Only dilation is judged: deep layers on
maps of one pixel, which small images come to in large networks, have eight of nine."""


def idle_taps(plan: Plan) -> Iterator[Remark]:
    """A dilation so wide that most of the kernel lies outside the maps."""
    found = []
    for name, node in plan.walk():
        if node.node.operation == "conv" and max(pair(node.keywords.get("dilation", 1))) > 1:
            sides = [_read(node, axis) for axis in (0, 1)]
            taps = math.prod(pair(node.keywords.get("kernel", 3)))
            if math.prod(sides) <= (1 - IDLE) * taps:
                found.append((taps - math.prod(sides), taps, name, node))
    if not found:
        return
    idle, taps, name, node = found[0]
    maps = "x".join(map(str, node.in_shapes[0][1:]))
    yield Remark(
        "small_windows",
        f"{idle} of the {taps} weights of a kernel of '{name}'"
        f"{at_line(node.node.problem('', '').place)} read nothing but padding",
        f"they lie {node.keywords['dilation']} pixels apart, on maps of {maps}",
        "lower `dilation` to 1 or 2",
        overrides=tuple(
            override for *_, each in found for override in with_parameter(each.node, "dilation", 1)
        ),
    )


def _read(node: PlannedNode, axis: int) -> int:
    """How many taps along an axis read a pixel at some place of the window."""
    given = node.keywords
    kernel, stride, dilation = (
        pair(given.get(what, usual))[axis]
        for what, usual in (("kernel", 3), ("stride", 1), ("dilation", 1))
    )
    padding, size = given.get("padding", "valid"), node.in_shapes[0][1 + axis]
    if padding == "circular":
        return kernel
    if padding == "same":
        padding = dilation * (kernel - 1) // 2
    before = 0 if padding == "valid" else pair(padding)[axis]
    windows = [place * stride - before for place in range(node.out_shape[1 + axis])]
    return sum(any(0 <= at + tap * dilation < size for at in windows) for tap in range(kernel))
