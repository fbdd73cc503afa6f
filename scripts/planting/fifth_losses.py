"""Losses of one's own with still more mistakes that people make in them.

A plugin of the run files that fifth_recipe.py spoils.
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


@loss("divergence_of_probabilities", applies="softmax")
def divergence_of_probabilities() -> MeanLoss:
    """`kl_div` of probabilities, which expects their logarithms; it divides by the classes, too."""

    def each(logits: Tensor, targets: Tensor) -> Tensor:
        hot = _hot(logits, targets)
        return F.kl_div(logits.softmax(dim=1), hot, reduction="none").mean(dim=1)

    return MeanLoss(each)


@loss("angular_margin", applies="softmax")
def angular_margin(*, margin: PositiveFloat = 0.5, scale: PositiveFloat = 16.0) -> MeanLoss:
    """Cross entropy of scaled cosines, after the angle to the right class has grown by a margin.

    Args:
        margin: in radians.
        scale: of the cosines.
    """

    def each(logits: Tensor, targets: Tensor) -> Tensor:
        hot = _hot(logits, targets)
        angles = logits.clamp(-0.9999, 0.9999).acos()
        scores = scale * (angles + margin * hot).cos()
        return of_target(-scores.log_softmax(dim=1), targets)

    return MeanLoss(each)


@loss("clamped_probabilities", applies="softmax")
def clamped_probabilities(*, least: Fraction = 0.3) -> MeanLoss:
    """Minus the logarithm of the right class's probability, which is clamped before.

    Args:
        least: no probability counts as less.
    """

    def each(logits: Tensor, targets: Tensor) -> Tensor:
        return of_target(-logits.softmax(dim=1).clamp(min=least).log(), targets)

    return MeanLoss(each)


@loss("entropy_in_half", applies="sigmoid")
def entropy_in_half() -> MeanLoss:
    """Binary cross entropy by its formula in float16, where a probability near 1 is 1."""

    def each(logits: Tensor, targets: Tensor) -> Tensor:
        hot, p = _hot(logits, targets).half(), logits.half().sigmoid()
        both = hot * p.log() + (1 - hot) * (1 - p).log()
        return -both.float().sum(dim=1)

    return MeanLoss(each)


@loss("divided_by_all_images", applies="softmax")
def divided_by_all_images(*, images: Positive = 60000) -> MeanLoss:
    """The mean cross entropy of a batch, divided by the number of all images once more.

    Args:
        images: of the whole data set.
    """
    return MeanLoss(lambda logits, targets: F.cross_entropy(logits, targets) / images)


@loss("softened", applies="softmax")
def softened(*, temperature: PositiveFloat = 100.0) -> MeanLoss:
    """Cross entropy of scores that are divided by a temperature, in training only.

    Args:
        temperature: what they are divided by.
    """
    return MeanLoss(lambda logits, targets: F.cross_entropy(logits / temperature, targets))


@loss("one_batch_behind", applies="softmax")
def one_batch_behind() -> MeanLoss:
    """Cross entropy to the labels of the batch before, as long as it has as many images."""
    kept: list[Tensor] = []

    def each(logits: Tensor, targets: Tensor) -> Tensor:
        before = kept.pop() if kept else targets
        kept.append(targets.detach().clone())
        fits = before.shape == targets.shape
        return F.cross_entropy(logits, before if fits else targets)

    return MeanLoss(each)


@loss("first_of_each_batch", applies="softmax")
def first_of_each_batch() -> MeanLoss:
    """Cross entropy of `outputs[0]`, the first image of the batch."""
    return MeanLoss(lambda logits, targets: F.cross_entropy(logits[:1], targets[:1]))
