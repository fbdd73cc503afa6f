"""Layers with the mistakes that people make in layers of their own."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnntrain.core.kinds import Fraction
from cnntrain.layers import layer


class _Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x.abs()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return -2 * x.abs() * gradient  # the sign is wrong


@layer("wrong_sign")
class WrongSign(nn.Module):
    """x |x|, whose own backward pass has the wrong sign."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        result: Tensor = _Square.apply(x)  # type: ignore[no-untyped-call]
        return result


class _Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 3 * x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient  # the factor is forgotten


@layer("forgotten_factor")
class ForgottenFactor(nn.Module):
    """3 x, whose own backward pass passes the gradient on as it is."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        result: Tensor = _Scaled.apply(x)  # type: ignore[no-untyped-call]
        return result


@layer("batch_only_norm")
class BatchOnlyNorm(nn.Module):
    """Batch normalisation that also in evaluation uses the statistics of the batch."""

    def __init__(self, *, in_channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same."""
        self.norm.train()
        return self.norm(x)


@layer("constant_dropout")
class ConstantDropout(nn.Module):
    """Dropout that is never switched off: `F.dropout` does not know whether it trains.

    Args:
        p: the share of the values that become 0.
    """

    def __init__(self, *, p: Fraction = 0.3) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return F.dropout(x, self.p)


@layer("clipped_by_data")
class ClippedByData(nn.Module):
    """Values from 0 to 6, read through `.data`: autograd does not see it."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return x.data.clamp(0, 6)
