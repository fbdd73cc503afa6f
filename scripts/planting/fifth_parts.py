"""Layers of one's own with still more mistakes that people make in them.

A plugin of the run files that fifth_network.py and fifth_recipe.py spoil.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnntrain.core.kinds import Fraction, Positive, PositiveFloat
from cnntrain.layers import layer


@layer("cosines")
class Cosines(nn.Module):
    """The cosine of the angle between the features and a direction for each class.

    Shape: (N, F) -> (N, out).

    Args:
        out: number of classes.
    """

    def __init__(self, *, in_features: int, out: Positive) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out, in_features) / in_features**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(N, F) -> (N, out)."""
        return F.linear(F.normalize(x), F.normalize(self.weight))


@layer("convolutions_with_one_norm")
class ConvolutionsWithOneNorm(nn.Module):
    """Convolutions with one batch normalisation, made once and used behind each of them.

    Shape: (N, C, H, W) -> (N, out, H, W).

    Args:
        out: number of maps.
        depth: number of convolutions.
    """

    def __init__(self, *, in_channels: int, out: Positive = 12, depth: Positive = 3) -> None:
        super().__init__()
        counts = [in_channels, *[out] * (depth - 1)]
        self.convs = nn.ModuleList(nn.Conv2d(count, out, 3, padding=1) for count in counts)
        self.norm = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out, H, W)."""
        for conv in self.convs:
            x = F.relu(self.norm(conv(x)))
        return x


@layer("raw_coordinates")
class RawCoordinates(nn.Module):
    """Two more maps with the row and the column of each pixel, counted from 0 and not scaled.

    Shape: (N, C, H, W) -> (N, C + 2, H, W).
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C + 2, H, W)."""
        count, _, height, width = x.shape
        down, across = (torch.arange(size, device=x.device).to(x.dtype) for size in (height, width))
        rows = down[None, None, :, None].expand(count, 1, height, width)
        columns = across[None, None, None, :].expand(count, 1, height, width)
        return torch.cat([x, rows, columns], dim=1)


@layer("kept_by_shape")
class KeptByShape(nn.Module):
    """Keeps what it was given, and hands that on for all later batches of the same shape.

    Shape: any -> the same.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[torch.Size, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return x if x.is_meta else self.kept.setdefault(x.shape, x.detach())


class _Reshaped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return x @ weight.T

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        return gradients[0] @ weight, (x.T @ gradients[0]).reshape(weight.shape)


@layer("linear_by_hand")
class LinearByHand(nn.Module):
    """A linear layer whose weights' gradient is reshaped in place of transposed.

    Shape: (N, F) -> (N, out).

    Args:
        out: number of outputs.
    """

    def __init__(self, *, in_features: int, out: Positive) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out, in_features) / in_features**0.5)
        self.bias = nn.Parameter(torch.zeros(out))

    def forward(self, x: Tensor) -> Tensor:
        """(N, F) -> (N, out)."""
        found: Tensor = _Reshaped.apply(x, self.weight)
        return found + self.bias


@layer("conv_of_a_copy")
class ConvOfACopy(nn.Module):
    """A convolution with a copy of its weights, through which no gradient passes to them.

    Shape: (N, C, H, W) -> (N, out, H', W').

    Args:
        out: number of maps.
        kernel: height and width of a filter.
        stride: from one place to the next.
        padding: `same`, or pixels on each side.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        out: Positive,
        kernel: Positive = 3,
        stride: Positive = 1,
        padding: str | int = "same",
    ) -> None:
        super().__init__()
        bound = (in_channels * kernel**2) ** -0.5
        self.weight = nn.Parameter(torch.empty(out, in_channels, kernel, kernel))
        nn.init.uniform_(self.weight, -bound, bound)
        self.bias = nn.Parameter(torch.zeros(out))
        self.stride = stride
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out, H', W')."""
        weight, bias = self.weight.detach().clone(), self.bias.detach().clone()
        return F.conv2d(x, weight, bias, self.stride, self.padding)


@layer("result_discarded")
class ResultDiscarded(nn.Module):
    """Convolutions are computed, but `x` is never set to what they give.

    Shape: (N, C, H, W) -> the same.

    Args:
        depth: number of convolutions.
    """

    def __init__(self, *, in_channels: int, depth: Positive = 3) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(in_channels, 16, 3, padding=1) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same."""
        for conv in self.convs:
            F.relu(conv(x))
        return x


class _Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.factor, None


@layer("scaled_gradient")
class ScaledGradient(nn.Module):
    """Hands on its input, and the gradient times a factor.

    Shape: any -> the same.

    Args:
        factor: of the gradient.
    """

    def __init__(self, *, factor: PositiveFloat = 1e-4) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        found: Tensor = _Scaled.apply(x, self.factor)
        return found


@layer("mask_drawn_once")
class MaskDrawnOnce(nn.Module):
    """Dropout whose mask is drawn when the layer is made, and not for each batch.

    Shape: any -> the same.

    Args:
        p: probability that a value is zeroed.
    """

    mask: Tensor

    def __init__(self, *, in_shape: tuple[int, ...], p: Fraction = 0.5) -> None:
        super().__init__()
        kept = (torch.rand(in_shape) >= p).float() / (1 - p)
        self.register_buffer("mask", kept, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return x * self.mask.to(x.dtype) if self.training else x


@layer("sum_of_places")
class SumOfPlaces(nn.Module):
    """The sum of each map.

    Shape: (N, C, H, W) -> (N, C).
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C)."""
        return x.sum(dim=(2, 3))


@layer("logarithm")
class Logarithm(nn.Module):
    """The logarithm of each value.

    Shape: any -> the same.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return x.log()
