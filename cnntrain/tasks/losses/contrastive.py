"""The contrastive loss of pairs."""

from __future__ import annotations

from torch import Tensor

from cnntrain.core.kinds import PositiveFloat
from cnntrain.tasks import loss
from cnntrain.tasks.criterion import MeanLoss
from cnntrain.tasks.distances import alike, squared_distances

_LEAST = 1e-12
"""Squared distance below which a root has no slope."""


@loss("contrastive", fits=("distances",))
def contrastive(*, margin: PositiveFloat = 1.0) -> MeanLoss:
    """Pairs of one class are pulled together, others pushed apart up to a margin.

    The mean, over all pairs of a batch, of `1/2 D^2` for two images of one class and of
    `1/2 max(0, margin - D)^2` for others, D the distance of their vectors. Hadsell, Chopra, LeCun,
    "Dimensionality Reduction by Learning an Invariant Mapping", 2006, equation 4.

    Args:
        margin: Distance from which on images of two classes are far enough from each other.
    """

    def of_pairs(vectors: Tensor, targets: Tensor) -> Tensor:
        squares = squared_distances(vectors)
        short = (margin - squares.clamp_min(_LEAST).sqrt()).clamp_min(0)
        costs = squares.where(alike(targets)[0], short.square())
        pairs = max(1, len(targets) * (len(targets) - 1) // 2)
        return 0.5 * costs.triu(diagonal=1).sum() / pairs

    return MeanLoss(of_pairs)
