"""Layers of one's own with yet more mistakes that people make in them.

A plugin of the run files that sixth_network.py spoils.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnntrain.core.kinds import NonNegative, Positive
from cnntrain.layers import layer


@layer("first_place")
class FirstPlace(nn.Module):
    """What each map has at its first place.

    Shape: (N, C, H, W) -> (N, C).
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C)."""
        return x[:, :, 0, 0]


@layer("spatial_attention")
class SpatialAttention(nn.Module):
    """Each place times its weight, where the weights of all places sum to 1.

    Shape: (N, C, H, W) -> the same.
    """

    def __init__(self, *, in_channels: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(in_channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same."""
        score = self.score(x)
        weights: Tensor = score.flatten(1).softmax(dim=1).view_as(score)
        return x * weights


@layer("self_attention")
class SelfAttention(nn.Module):
    """Attention of one head that takes the images of the batch for the places of a sequence.

    Shape: (N, F) -> the same.
    """

    def __init__(self, *, in_features: int) -> None:
        super().__init__()
        self.query = nn.Linear(in_features, in_features)
        self.key = nn.Linear(in_features, in_features)
        self.value = nn.Linear(in_features, in_features)

    def forward(self, x: Tensor) -> Tensor:
        """(N, F) -> the same."""
        alike = self.query(x) @ self.key(x).T / x.shape[1] ** 0.5
        found: Tensor = alike.softmax(dim=1) @ self.value(x)
        return found


@layer("shares_of_the_sum")
class SharesOfTheSum(nn.Module):
    """Each score, divided by the sum of an image's scores.

    Shape: (N, F) -> the same.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, F) -> the same."""
        return x / x.sum(dim=1, keepdim=True)


@layer("conv_of_means")
class ConvOfMeans(nn.Module):
    """A convolution that takes the mean of a window's products in place of their sum.

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
        weight = self.weight / self.weight[0].numel()
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


class _SlopeOfInput(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.tanh()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        found: Tensor = gradients[0] * (1 - x.square())
        return found


@layer("tanh_by_hand")
class TanhByHand(nn.Module):
    """A tanh whose slope is computed from what comes in.

    Shape: any -> the same.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        found: Tensor = _SlopeOfInput.apply(x)
        return found


@layer("norm_without_gradient")
class NormWithoutGradient(nn.Module):
    """Batch normalisation whose mean and deviation are constants in the backward pass.

    Shape: (N, C, H, W) -> the same.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, *, in_channels: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(in_channels))
        self.offset = nn.Parameter(torch.zeros(in_channels))
        self.register_buffer("mean", torch.zeros(in_channels))
        self.register_buffer("variance", torch.ones(in_channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same."""
        mean, variance = self.mean, self.variance
        if self.training:
            with torch.no_grad():
                mean, variance = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3))
                self.mean.lerp_(mean, 0.1)
                self.variance.lerp_(variance, 0.1)
        x = (x - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt()
        return x * self.factor[:, None, None] + self.offset[:, None, None]


@layer("random_turns")
class RandomTurns(nn.Module):
    """Turns each image by 0, 90, 180 or 270 degrees, drawn again each time.

    Shape: (N, C, H, W) -> the same.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same."""
        turns = torch.randint(0, 4, (len(x), 1, 1, 1), device=x.device)
        for number in range(1, 4):
            x = torch.where(turns >= number, x.rot90(1, (2, 3)), x)
        return x


@layer("gated")
class Gated(nn.Module):
    """Features times a gate between 0 and 1, which begins closed.

    Shape: (N, F) -> the same.

    Args:
        closed: minus the gate's bias.
    """

    def __init__(self, *, in_features: int, closed: Positive = 10) -> None:
        super().__init__()
        self.gate = nn.Linear(in_features, in_features)
        self.closed = closed

    def forward(self, x: Tensor) -> Tensor:
        """(N, F) -> the same."""
        opened: Tensor = (self.gate(x) - self.closed).sigmoid()
        return x * opened


@layer("white_border")
class WhiteBorder(nn.Module):
    """A border of 255 around each image.

    Shape: (N, C, H, W) -> (N, C, H + 2 width, W + 2 width).

    Args:
        width: of the border.
    """

    def __init__(self, *, width: NonNegative = 2) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H + 2 width, W + 2 width)."""
        return F.pad(x, [self.width] * 4, value=255.0)
