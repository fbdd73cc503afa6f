"""What layers share: pairs of sizes, shapes of nested layers, refusals, and print(net)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn


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


def require_small_padding(layer: str, padding: tuple[int, int], kernel: tuple[int, int]) -> None:
    """Refuse a padding so large that a window could lie wholly outside of the image.

    Raises:
        ValueError: the padding is more than half of the kernel.
    """
    if padding[0] > kernel[0] // 2 or padding[1] > kernel[1] // 2:
        raise ValueError(
            f"{layer}: padding {list(padding)} is more than half of the kernel {list(kernel)}; "
            f"use at most {[side // 2 for side in kernel]}"
        )


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


def shows(*names: str) -> Callable[[nn.Module], str]:
    """A layer's `extra_repr`: these attributes, for print(net)."""

    def extra_repr(module: nn.Module) -> str:
        values = ((name, getattr(module, name)) for name in names)
        return ", ".join(f"{n}={v:g}" if isinstance(v, float) else f"{n}={v!r}" for n, v in values)

    return extra_repr
