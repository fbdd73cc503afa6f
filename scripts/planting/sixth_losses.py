"""Losses of one's own with yet more mistakes that people make in them.

A plugin of the run files that sixth_recipe.py spoils.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from cnntrain.core.kinds import Fraction, Positive, PositiveFloat
from cnntrain.tasks import loss
from cnntrain.tasks.criterion import MeanLoss, of_target


def _hot(logits: Tensor, targets: Tensor) -> Tensor:
    """Targets as shares of classes, `(N, classes)`."""
    hot = F.one_hot(targets, logits.shape[1]) if targets.ndim == 1 else targets
    return hot.to(logits.dtype)


def _labels(targets: Tensor) -> Tensor:
    """Targets as classes, `(N,)`."""
    return targets if targets.ndim == 1 else targets.argmax(dim=1)


@loss("ignores_class_zero", applies="softmax")
def ignores_class_zero() -> MeanLoss:
    """Cross entropy with `ignore_index=0`, where 0 is a class like any other."""

    def each(logits: Tensor, targets: Tensor) -> Tensor:
        losses = F.cross_entropy(logits, _labels(targets), ignore_index=0, reduction="sum")
        return losses / (_labels(targets) != 0).sum().clamp(min=1)

    return MeanLoss(each)


@loss("hinge_of_zeros")
def hinge_of_zeros() -> MeanLoss:
    """`max(0, 1 - y s)` for each class, with y of 0 and 1 in place of -1 and 1."""

    def each(logits: Tensor, targets: Tensor) -> Tensor:
        return (1 - _hot(logits, targets) * logits).clamp(min=0).sum(dim=1)

    return MeanLoss(each)


@loss("one_hot_reshaped", applies="softmax")
def one_hot_reshaped() -> MeanLoss:
    """Cross entropy to one-hot labels `(classes, N)`, which are reshaped to `(N, classes)`."""

    def each(logits: Tensor, targets: Tensor) -> Tensor:
        hot = _hot(logits, targets).T
        return -(hot.reshape(logits.shape) * logits.log_softmax(dim=1)).sum(dim=1)

    return MeanLoss(each)


@loss("flooded", applies="softmax")
def flooded(*, level: PositiveFloat = 0.05) -> MeanLoss:
    """Cross entropy that is not to fall below a level: under it, the gradient changes its sign.

    Args:
        level: the lowest loss wanted.
    """

    def each(logits: Tensor, targets: Tensor) -> Tensor:
        return (F.cross_entropy(logits, targets) - level).abs() + level

    return MeanLoss(each)


@loss("within_the_top")
def within_the_top(*, k: Positive = 5) -> MeanLoss:
    """Hinge of the right class's score and the k-th best of the others.

    Args:
        k: answers among which the right one is to be.
    """

    def each(logits: Tensor, targets: Tensor) -> Tensor:
        is_right = F.one_hot(_labels(targets), logits.shape[1]).bool()
        others = logits.masked_fill(is_right, float("-inf"))
        least = others.topk(k, dim=1).values[:, -1]
        return (1 + least - of_target(logits, targets)).clamp(min=0)

    return MeanLoss(each)


@loss("of_confident_images", applies="softmax")
def of_confident_images(*, least: Fraction = 0.95) -> MeanLoss:
    """Cross entropy of the images whose most probable class has at least some probability.

    Args:
        least: probability from which on an image counts.
    """

    def each(logits: Tensor, targets: Tensor) -> Tensor:
        counts = logits.detach().softmax(dim=1).amax(dim=1) >= least
        return F.cross_entropy(logits, targets, reduction="none") * counts

    return MeanLoss(each)


@loss("scaled_for_half", applies="softmax")
def scaled_for_half(*, scale: PositiveFloat = 65536.0) -> MeanLoss:
    """Cross entropy times a large factor, so that gradients do not vanish in float16.

    Args:
        scale: the factor.
    """
    return MeanLoss(lambda logits, targets: scale * F.cross_entropy(logits, targets))
