"""Layers and losses of one's own with the mistakes that people make in them.

A plugin of the run files that third_network.py and third_recipe.py spoil.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnntrain.core.kinds import Fraction, Positive
from cnntrain.layers import layer
from cnntrain.tasks import loss
from cnntrain.tasks.criterion import MeanLoss, of_target


@layer("viewed_in_wrong_order")
class ViewedInWrongOrder(nn.Module):
    """Meant to bring channels to the front and back again; `view` mixes images in place of it.

    Shape: (N, C, ...) -> the same.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) -> the same."""
        return x.reshape(x.shape[1], x.shape[0], *x.shape[2:]).transpose(0, 1)


@layer("made_in_forward")
class MadeInForward(nn.Module):
    """A linear layer that is made in `forward`, and so has other weights in each call.

    Shape: (N, F) -> (N, out).

    Args:
        out: number of outputs.
    """

    def __init__(self, *, in_features: int, out: Positive) -> None:
        super().__init__()
        self.shape = (in_features, out)

    def forward(self, x: Tensor) -> Tensor:
        """(N, F) -> (N, out)."""
        made = nn.Linear(*self.shape, device=x.device, dtype=x.dtype)
        found: Tensor = made(x)
        return found


@layer("in_a_list")
class InAList(nn.Module):
    """Convolutions in a plain list: they compute, and no optimizer sees their weights.

    Shape: (N, C, H, W) -> (N, out).

    Args:
        out: number of maps.
        depth: number of convolutions.
    """

    def __init__(self, *, in_channels: int, out: Positive = 12, depth: Positive = 3) -> None:
        super().__init__()
        counts = [in_channels, *[out] * depth]
        self.layers = [nn.Conv2d(i, o, 3, padding=1) for i, o in pairwise(counts)]
        for each in self.layers:
            nn.init.kaiming_normal_(each.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out)."""
        for each in self.layers:
            x = F.relu(each.to(x.device)(x))
        return x.mean(dim=(2, 3))


class _OtherHalf(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp_min(0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        found: Tensor = gradients[0] * (x <= 0)
        return found


@layer("relu_of_wrong_mask")
class ReluOfWrongMask(nn.Module):
    """A rectifier whose backward pass keeps the gradient where the unit is off.

    Shape: any -> the same.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        found: Tensor = _OtherHalf.apply(x)
        return found


@layer("state_never_reset")
class StateNeverReset(nn.Module):
    """Adds what it gave for the batches before, as a recurrent layer that nobody resets.

    Shape: any -> the same.

    Args:
        kept: share of the state that stays from batch to batch.
    """

    def __init__(self, *, kept: Fraction = 1.0) -> None:
        super().__init__()
        self.kept = kept
        self.state: Tensor | float = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        found = x + self.state
        if not x.is_meta:
            self.state = self.kept * found.detach().mean(dim=0)
        return found


@loss("likelihood_of_scores", applies="softmax")
def likelihood_of_scores() -> MeanLoss:
    """Minus the right class's score, which nobody has made the logarithm of a probability."""

    def each(logits: Tensor, targets: Tensor) -> Tensor:
        return of_target(-logits, targets)

    return MeanLoss(each)


@loss("summed_over_batch", applies="softmax")
def summed_over_batch() -> MeanLoss:
    """Cross entropy summed over the images of a batch, in place of their mean."""

    def each(logits: Tensor, targets: Tensor) -> Tensor:
        return of_target(-logits.log_softmax(dim=1), targets) * len(logits)

    return MeanLoss(each)


@loss("absolute_error_of_classes")
def absolute_error_of_classes() -> MeanLoss:
    """Mean absolute error to one-hot targets, whose median is 0 for each class."""

    def each(logits: Tensor, targets: Tensor) -> Tensor:
        hot = F.one_hot(targets, logits.shape[1]) if targets.ndim == 1 else targets
        return (logits - hot).abs().mean(dim=1)

    return MeanLoss(each)


@loss("classes_as_a_scale", applies="softmax")
def classes_as_a_scale() -> MeanLoss:
    """Squared distance of the expected class number from the right one, as if classes were one."""

    def each(logits: Tensor, targets: Tensor) -> Tensor:
        numbers = torch.arange(logits.shape[1], device=logits.device, dtype=logits.dtype)
        right = targets.to(logits) if targets.ndim == 1 else targets.to(logits) @ numbers
        return (logits.softmax(dim=1) @ numbers - right) ** 2

    return MeanLoss(each)
