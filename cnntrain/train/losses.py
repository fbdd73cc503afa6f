"""Criteria: the mean loss of a batch, and what that mean is taken over.

With class weights `w` a mean is `sum(w[y] * loss) / sum(w[y])`, as in torch. `weight` gives that
denominator, so that means of parts can be put together to the mean of the whole exactly.

Targets are classes `(N,)` int64 or, of mixed images, shares of classes `(N, classes)` that sum to
1. In the cross entropy an image with `s` of class a and `1 - s` of b counts as `s` of an image of a
and `1 - s` of one of b, class weights included. One-hot shares give what the classes give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor


class Criterion(Protocol):
    """A loss that is a (weighted) mean over images."""

    def __call__(self, logits: Tensor, targets: Tensor, /) -> Tensor:
        """0-d mean loss of `(N, classes)` logits and targets, `(N,)` or `(N, classes)`."""
        ...

    def weight(self, targets: Tensor, /) -> float | Tensor:
        """What the mean is divided by: N, or the sum of the class weights."""
        ...


@dataclass(frozen=True, eq=False)
class CrossEntropy:
    """Mean of `-log softmax(logits)[target]`.

    Args:
        label_smoothing: share of the target that is spread evenly over all classes (Szegedy et al.
            2016, section 7); the loss of a perfect answer is then above 0.
        class_weights: `(classes,)` float32 on the device, or None.
    """

    label_smoothing: float = 0.0
    class_weights: Tensor | None = None

    def __call__(self, logits: Tensor, targets: Tensor, /) -> Tensor:
        """0-d mean loss."""
        mean = F.cross_entropy(
            logits, targets, weight=self.class_weights, label_smoothing=self.label_smoothing
        )
        if self.class_weights is None or targets.ndim == 1:
            return mean
        return mean * (targets.shape[0] / self.weight(targets))  # of shares torch divides by N

    def weight(self, targets: Tensor, /) -> float | Tensor:
        """N, or the sum of the class weights."""
        return _weight(self.class_weights, targets)


@dataclass(frozen=True, eq=False)
class MeanSquaredError:
    """Mean over images of `1/2 * |outputs - onehot(target)|^2`, the sum over classes.

    LeCun et al. 1998's convention, whose gradient is `outputs - onehot`; torch's MSELoss also
    divides by the number of classes and has no 1/2.

    Args:
        class_weights: `(classes,)` float32 on the device, or None.
    """

    class_weights: Tensor | None = None

    def __call__(self, logits: Tensor, targets: Tensor, /) -> Tensor:
        """0-d mean loss."""
        wanted = F.one_hot(targets, logits.shape[1]) if targets.ndim == 1 else targets
        each = 0.5 * (logits - wanted.to(logits.dtype)).square().sum(dim=1)
        if self.class_weights is None:
            return each.mean()
        weights = _weights(self.class_weights, targets)
        return (each * weights).sum() / weights.sum()

    def weight(self, targets: Tensor, /) -> float | Tensor:
        """N, or the sum of the class weights."""
        return _weight(self.class_weights, targets)


def balanced_class_weights(counts: Sequence[int]) -> tuple[float, ...]:
    """`images / (classes * images of the class)`, so that every class weighs the same in all.

    The formula of scikit-learn's `balanced` (King and Zeng 2001); a class without images gets 1.
    """
    total = sum(counts)
    return tuple(total / (len(counts) * count) if count else 1.0 for count in counts)


def l1_norm(weights: Sequence[Tensor]) -> Tensor:
    """Sum of the absolute values of all weights, 0-d; its gradient is the sign, 0 at 0."""
    return torch.stack([weight.abs().sum() for weight in weights]).sum()


def foremost(targets: Tensor) -> Tensor:
    """`(N,)` int64: the class, of shares the largest one's: what a prediction is compared with."""
    return targets if targets.ndim == 1 else targets.argmax(dim=1)


def _weight(class_weights: Tensor | None, targets: Tensor) -> float | Tensor:
    if class_weights is None:
        return float(targets.shape[0])
    return _weights(class_weights, targets).sum()


def _weights(class_weights: Tensor, targets: Tensor) -> Tensor:
    """`(N,)`: what each image weighs."""
    return class_weights[targets] if targets.ndim == 1 else targets @ class_weights
