"""Layers of one's own with further mistakes that people make in them.

A plugin of the run files that fourth_network.py spoils.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnntrain.core.kinds import Positive, PositiveFloat
from cnntrain.layers import layer


class _LocalSlopeOnly(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp_min(0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        found: Tensor = (x > 0).to(gradients[0].dtype)
        return found


@layer("relu_without_upstream")
class ReluWithoutUpstream(nn.Module):
    """A rectifier whose backward pass gives its own slope, without the gradient from above.

    Shape: any -> the same.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        found: Tensor = _LocalSlopeOnly.apply(x)
        return found


@layer("positions_of_maxima")
class PositionsOfMaxima(nn.Module):
    """Max pooling that hands on where each maximum is, and not what it is.

    Shape: (N, C, H, W) -> (N, C, H / 2, W / 2).
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H / 2, W / 2)."""
        _, positions = F.max_pool2d(x, 2, return_indices=True)
        return positions.to(x.dtype)


@layer("norm_without_epsilon")
class NormWithoutEpsilon(nn.Module):
    """Each map of each image less its mean, divided by its deviation, which may be 0.

    Shape: (N, C, H, W) -> the same.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same."""
        centred = x - x.mean(dim=(2, 3), keepdim=True)
        return centred / centred.square().mean(dim=(2, 3), keepdim=True).sqrt()


@layer("norm_by_variance")
class NormByVariance(nn.Module):
    """Batch normalisation which in evaluation divides by the variance, and not by its root.

    Shape: (N, C, H, W) -> the same.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, *, in_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(in_channels, 1, 1))
        self.register_buffer("mean", torch.zeros(in_channels, 1, 1))
        self.register_buffer("variance", torch.ones(in_channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same."""
        if not self.training:
            return (x - self.mean) / (self.variance + 1e-5) * self.weight + self.bias
        mean = x.mean(dim=(0, 2, 3), keepdim=True)
        variance = (x - mean).square().mean(dim=(0, 2, 3), keepdim=True)
        if not x.is_meta:
            self.mean.lerp_(mean.detach()[0], 0.1)
            self.variance.lerp_(variance.detach()[0], 0.1)
        return (x - mean) / (variance + 1e-5).sqrt() * self.weight + self.bias


@layer("bilinear_pooling")
class BilinearPooling(nn.Module):
    """Mean products of all pairs of maps, and their signed roots, whose slope at 0 is infinite.

    Shape: (N, C, H, W) -> (N, C C).
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C C)."""
        places = x.flatten(2)
        products = (places @ places.transpose(1, 2)).flatten(1) / places.shape[2]
        return products.sign() * products.abs().sqrt()


@layer("bytes_to_unit")
class BytesToUnit(nn.Module):
    """Divides by 255, as is right for bytes.

    Shape: any -> the same.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return x / 255


@layer("rounded_to_levels")
class RoundedToLevels(nn.Module):
    """Values of few bits: rounding has no slope, and nothing is put in its place.

    Shape: any -> the same.

    Args:
        levels: from one whole number to the next.
    """

    def __init__(self, *, levels: Positive = 4) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return (x * self.levels).round() / self.levels


@layer("fast_sine")
class FastSine(nn.Module):
    """The sine of each value times a frequency.

    Shape: any -> the same.

    Args:
        frequency: the factor.
    """

    def __init__(self, *, frequency: PositiveFloat = 30.0) -> None:
        super().__init__()
        self.frequency = frequency

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return (self.frequency * x).sin()


@layer("squared")
class Squared(nn.Module):
    """The square of each value.

    Shape: any -> the same.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return x * x


@layer("dropout_without_scale")
class DropoutWithoutScale(nn.Module):
    """Dropout whose kept values are not scaled up in training, nor all of them down in evaluation.

    Shape: any -> the same.

    Args:
        p: probability that a value is zeroed.
    """

    def __init__(self, *, p: PositiveFloat = 0.8) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return x * (torch.rand_like(x) >= self.p) if self.training else x
