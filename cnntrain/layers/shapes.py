"""What layers share: sizes and shapes, their refusals, full precision, and print(net)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import Tensor, nn


def pair(size: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a size that is one number or a pair."""
    return (size, size) if isinstance(size, int) else size


def shape_out(module: nn.Module) -> tuple[int, ...]:
    """The shape, without N, that a nested module gives."""
    return tuple(int(size) for size in module.out_shape)  # type: ignore[union-attr]  # set by the planner


def require_maps(layer: str, in_shape: tuple[int, ...]) -> None:
    """Refuse an input that has no height and width.

    Raises:
        ValueError: the input is not (C, H, W).
    """
    if len(in_shape) != 3:
        raise ValueError(
            f"{layer} reads maps (C, H, W), but its input is {in_shape}; "
            f"put it above the layer that flattens the maps"
        )


def require_odd(what: str, side: int, middle: str = "centre") -> None:
    """Refuse a window, such as `lcn: kernel`, of an even number of pixels or maps.

    Raises:
        ValueError: it has no middle.
    """
    if side % 2 == 0:
        raise ValueError(f"{what} {side} is even and has no {middle}; use {side - 1} or {side + 1}")


def require_divides(layer: str, groups: int, in_channels: int, out: int) -> None:
    """Refuse groups that input or output channels cannot be split into.

    Raises:
        ValueError: a remainder would be left.
    """
    for what, channels in (("input", in_channels), ("output", out)):
        if channels % groups:
            raise ValueError(
                f"{layer}: groups {groups} does not divide the {channels} {what} channels; "
                f"choose a divisor of both {in_channels} and {out}"
            )


def numeric_padding(
    layer: str,
    padding: Literal["same", "valid", "circular"] | int | tuple[int, int],
    *,
    kernel: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> tuple[int, int]:
    """Padding in pixels; torch's own 'same' refuses strides and pads even kernels on one side.

    Raises:
        ValueError: the padding follows from the kernel, and that has no centre.
    """
    if padding == "valid":
        return 0, 0
    if not isinstance(padding, str):
        return pair(padding)
    if kernel[0] % 2 == 0 or kernel[1] % 2 == 0:
        shown = kernel[0] if kernel[0] == kernel[1] else list(kernel)
        raise ValueError(
            f"{layer}: padding '{padding}' needs an odd kernel to have a centre, not {shown}; "
            f"choose an odd kernel, or give the padding as a number"
        )
    return dilation[0] * (kernel[0] - 1) // 2, dilation[1] * (kernel[1] - 1) // 2


def pool_window(
    layer: str,
    in_shape: tuple[int, ...],
    kernel: int | tuple[int, int],
    stride: int | tuple[int, int] | None,
    padding: int | tuple[int, int],
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Kernel, stride (None: the kernel) and padding of a pooling layer, as pairs.

    Raises:
        ValueError: the input is not (C, H, W), or a window could lie wholly outside of the image.
    """
    require_maps(layer, in_shape)
    sides, pads = pair(kernel), pair(padding)
    if pads[0] > sides[0] // 2 or pads[1] > sides[1] // 2:
        raise ValueError(
            f"{layer}: padding {list(pads)} is more than half of the kernel {list(sides)}; "
            f"use at most {[side // 2 for side in sides]}"
        )
    return sides, sides if stride is None else pair(stride), pads


def channels_last_and_back(in_shape: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """For `permute`: (N, C, ...) -> (N, ..., C), and back; views, so that nothing is copied."""
    spatial = len(in_shape) - 1
    return [0, *range(2, spatial + 2), 1], [0, spatial + 1, *range(1, spatial + 1)]


def require_joinable(what: str, shapes: Sequence[tuple[str, tuple[int, ...]]], merge: str) -> None:
    """Refuse shapes that cannot be concatenated along channels, or added.

    Args:
        what: how the message starts, e.g. `branches: the paths`.
        shapes: a name and a shape without N for each.
        merge: `concat` (all but the channels must agree) or `add` (all must agree).

    Raises:
        ValueError: they differ; the message has every name with its shape.
    """
    start = 1 if merge == "concat" else 0
    if len({shape[start:] for _, shape in shapes}) <= 1:
        return
    listed = ", ".join(f"{name} {shape}" for name, shape in shapes)
    if merge == "concat":
        raise ValueError(
            f"{what} differ in height and width: {listed}; "
            f"give them equal strides and padding so that only the channels differ"
        )
    raise ValueError(
        f"{what} differ in shape: {listed}; "
        f"give them equal channels and strides, or join them with concat"
    )


def without_autocast(x: Tensor) -> AbstractContextManager[object]:
    """A `with` block in which autocast on x's device does not lower any precision."""
    device = x.device.type
    if not torch.amp.is_autocast_available(device):
        return nullcontext()
    return torch.autocast(device, enabled=False)


def widened(x: Tensor) -> Tensor:
    """x in float32, or in its own type if that is wider: for sums that must not be rounded."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def shows(*names: str) -> Callable[[nn.Module], str]:
    """A layer's `extra_repr`: these attributes, for print(net)."""

    def extra_repr(module: nn.Module) -> str:
        values = ((name, getattr(module, name)) for name in names)
        return ", ".join(f"{n}={v:g}" if isinstance(v, float) else f"{n}={v!r}" for n, v in values)

    return extra_repr
