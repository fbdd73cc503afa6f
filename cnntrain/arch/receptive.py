"""Receptive fields: which part of the image one output unit sees.

A window of `k` units, stride `s`, dilation `d`, padding `p`, read at jump `j` (the distance of two
neighbouring units in image pixels), makes the field `size + (k - 1) d j`, the jump `j s` and moves
the centre of the first unit by `((k - 1) d / 2 - p) j` (Araujo, Norris, Sim 2019, eq. 2 to 4).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True)
class Axis:
    """The field along one axis, in pixels: extent, distance of neighbours, centre of the first."""

    size: int
    jump: int
    start: float

    @property
    def low(self) -> float:
        """The first pixel of the first field; below 0 is padding."""
        return self.start - (self.size - 1) / 2


@dataclass(frozen=True)
class Field:
    """The receptive field of a layer's units; `whole`: it is the whole image."""

    height: Axis
    width: Axis
    whole: bool = False


PIXEL = Field(Axis(1, 1, 0.0), Axis(1, 1, 0.0))


def union(fields: Sequence[Field | None]) -> Field | None:
    """The field of a layer that reads several: the smallest one around them.

    None if one is not known, or if neighbours are not equally far apart in all of them, because
    then every unit has a field of another size.
    """
    known = [field for field in fields if field is not None]
    for field in known:
        if field.whole:
            return field
    jumps = {(field.height.jump, field.width.jump) for field in known}
    if len(known) < len(fields) or len(jumps) != 1:
        return None
    heights, widths = ([getattr(f, side) for f in known] for side in ("height", "width"))
    return Field(_axis_union(heights), _axis_union(widths))


def through(module: nn.Module, field: Field | None, *, same_size: bool) -> Field | None:
    """The field after one layer; None when the layer's window is not known.

    Args:
        module: states its window by `kernel_size`, `stride`, `padding`, `dilation`, as torch's do,
            or `receptive_field = "image"`.
        field: the field of what it reads.
        same_size: whether the layer leaves height and width as they are.
    """
    if field is None or field.whole or isinstance(module, nn.Identity | nn.BatchNorm2d):
        return field
    if getattr(module, "receptive_field", None) == "image" or isinstance(
        module, nn.Flatten | nn.Linear | nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d
    ):
        return Field(field.height, field.width, whole=True)
    if isinstance(module, nn.Sequential):
        for child in module:
            field = through(child, field, same_size=same_size)
        return field
    height, width = window(module, 0), window(module, 1)
    if height is None or width is None:
        return field if same_size else None
    return Field(_stepped(field.height, height), _stepped(field.width, width))


def path_beside(module: nn.Module, nested: Collection[str]) -> nn.Module | None:
    """What a layer made to read its input beside its lists, named by its attribute `beside`."""
    name = getattr(module, "beside", None)
    return None if name is None or name in nested else module.get_submodule(name)


@dataclass(frozen=True)
class Window:
    """What a layer reads along one axis, in units of its input."""

    kernel: int
    stride: int
    padding: int
    dilation: int


def window(module: nn.Module, axis: int) -> Window | None:
    """A layer's window along height (0) or width (1), if its attributes say one.

    A transposed convolution has none: its units see different numbers of inputs. Padding may be
    "same" or "valid", as torch's convolutions allow.
    """
    if getattr(module, "transposed", False):
        return None
    usual = {"kernel_size": None, "stride": 1, "padding": 0, "dilation": 1}
    stated = (getattr(module, name, default) for name, default in usual.items())
    sides: list[Any] = [s[axis] if isinstance(s, tuple | list) else s for s in stated]
    kernel, _, padding, dilation = sides
    if padding == "valid":
        sides[2] = 0
    elif padding == "same" and isinstance(kernel, int) and isinstance(dilation, int):
        sides[2] = (kernel - 1) * dilation // 2
    return Window(*sides) if all(isinstance(side, int) for side in sides) else None


def _stepped(axis: Axis, over: Window) -> Axis:
    reach = (over.kernel - 1) * over.dilation
    start = axis.start + (reach / 2 - over.padding) * axis.jump
    return Axis(axis.size + reach * axis.jump, axis.jump * over.stride, start)


def _axis_union(axes: Sequence[Axis]) -> Axis:
    low = min(axis.low for axis in axes)
    high = max(axis.low + axis.size - 1 for axis in axes)
    return Axis(round(high - low) + 1, axes[0].jump, (low + high) / 2)
