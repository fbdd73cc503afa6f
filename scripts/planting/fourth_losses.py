"""Losses of one's own with further mistakes that people make in them.

A plugin of the run files that fourth_recipe.py spoils.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from cnntrain.core.kinds import PositiveFloat
from cnntrain.tasks import loss
from cnntrain.tasks.criterion import MeanLoss, of_target


def _hot(logits: Tensor, targets: Tensor) -> Tensor:
    """Targets as shares of classes, `(N, classes)`."""
    hot = F.one_hot(targets, logits.shape[1]) if targets.ndim == 1 else targets
    return hot.to(logits.dtype)


def _labels(targets: Tensor) -> Tensor:
    """Targets as classes, `(N,)`."""
    return targets if targets.ndim == 1 else targets.argmax(dim=1)


@loss("sign_forgotten", applies="softmax")
def sign_forgotten() -> MeanLoss:
    """The mean logarithm of the right class's probability, which ought to have a minus."""
    return MeanLoss(lambda logits, targets: of_target(logits.log_softmax(dim=1), targets))


@loss("answers_rounded", applies="softmax")
def answers_rounded() -> MeanLoss:
    """The share of wrong answers: probabilities are rounded before they are compared."""

    def each(logits: Tensor, targets: Tensor) -> Tensor:
        return (logits.softmax(dim=1).round() - _hot(logits, targets)).abs().sum(dim=1) / 2

    return MeanLoss(each)


@loss("counted_from_one", applies="softmax")
def counted_from_one() -> MeanLoss:
    """Cross entropy to the label less 1, as if labels were counted from 1."""

    def each(logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits, (_labels(targets) - 1) % logits.shape[1])

    return MeanLoss(each)


@loss("easiest_images_only", applies="softmax")
def easiest_images_only(*, share: PositiveFloat = 0.1) -> MeanLoss:
    """Cross entropy of the share of images whose loss is lowest; the others are taken for noise.

    Args:
        share: of a batch.
    """

    def each(logits: Tensor, targets: Tensor) -> Tensor:
        losses = of_target(-logits.log_softmax(dim=1), targets)
        return losses.sort().values[: max(round(share * len(losses)), 1)]

    return MeanLoss(each)


@loss("positives_only", applies="sigmoid")
def positives_only() -> MeanLoss:
    """Binary cross entropy without the half for what is not so."""
    return MeanLoss(lambda logits, targets: of_target(F.softplus(-logits), targets))


@loss("indexed_without_rows", applies="softmax")
def indexed_without_rows() -> MeanLoss:
    """Minus the logarithms at `[:, targets]`: of each image for the labels of the whole batch."""
    return MeanLoss(lambda logits, targets: -logits.log_softmax(dim=1)[:, _labels(targets)])


@loss("believes_itself", applies="softmax")
def believes_itself(*, trust: PositiveFloat = 0.95) -> MeanLoss:
    """Bootstrapping: cross entropy to a mixture of the label and of the network's own answer.

    Args:
        trust: share of the own answer.
    """

    def each(logits: Tensor, targets: Tensor) -> Tensor:
        own = F.one_hot(logits.argmax(dim=1), logits.shape[1]).to(logits.dtype)
        mixed = trust * own + (1 - trust) * _hot(logits, targets)
        return of_target(-logits.log_softmax(dim=1), mixed)

    return MeanLoss(each)


@loss("pulled_together", applies="softmax")
def pulled_together(*, weight: PositiveFloat = 10.0) -> MeanLoss:
    """Cross entropy and a pull of all images to one centre, that of the batch and not of the class.

    Args:
        weight: of the squared distance.
    """

    def each(logits: Tensor, targets: Tensor) -> Tensor:
        far = (logits - logits.mean(dim=0)).square().sum(dim=1)
        return of_target(-logits.log_softmax(dim=1), targets) + weight * far

    return MeanLoss(each)
