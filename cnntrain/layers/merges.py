"""Layers that join several inputs, named by `from: [one, other]`."""

from __future__ import annotations

from functools import reduce
from operator import add

import torch
from torch import Tensor, nn

from cnntrain.layers import layer
from cnntrain.layers.shapes import require_joinable


@layer("concat", affine="plain", inputs="many")
class Concat(nn.Module):
    """Concatenation of several inputs along the channels, in the order of `from`.

    Shape: (N, C1, H, W), (N, C2, H, W), ... -> (N, C1 + C2 + ..., H, W); flat inputs the same way.

    Raises:
        ValueError: heights or widths differ.
    """

    def __init__(self, *, in_shape: tuple[tuple[int, ...], ...]) -> None:
        super().__init__()
        require_joinable("concat: the inputs", _numbered(in_shape), "concat")

    def forward(self, *inputs: Tensor) -> Tensor:
        """(N, C1, H, W), (N, C2, H, W), ... -> (N, C1 + C2 + ..., H, W)."""
        return torch.cat(inputs, dim=1)


@layer("add", affine="plain", inputs="many")
class Add(nn.Module):
    """Sum of several inputs of the same shape.

    Shape: (N, C, H, W), (N, C, H, W), ... -> the same; flat inputs the same way.

    Raises:
        ValueError: the shapes differ.
    """

    def __init__(self, *, in_shape: tuple[tuple[int, ...], ...]) -> None:
        super().__init__()
        require_joinable("add: the inputs", _numbered(in_shape), "add")

    def forward(self, *inputs: Tensor) -> Tensor:
        """(N, C, H, W), (N, C, H, W), ... -> (N, C, H, W)."""
        return reduce(add, inputs)


def _numbered(shapes: tuple[tuple[int, ...], ...]) -> list[tuple[str, tuple[int, ...]]]:
    return [(f"number {index}", shape) for index, shape in enumerate(shapes, start=1)]
