"""The triplet loss with semi-hard negatives."""

from __future__ import annotations

import torch
from torch import Tensor

from cnntrain.core.kinds import PositiveFloat
from cnntrain.tasks import loss
from cnntrain.tasks.criterion import MeanLoss
from cnntrain.tasks.distances import alike, squared_distances


@loss("triplet", fits=("distances",))
def triplet(*, margin: PositiveFloat = 0.2) -> MeanLoss:
    """An image is to be nearer to those of its class than to others, by a margin.

    The mean, over all pairs of an anchor a and a positive p of its class in the batch, of
    `max(0, |a - p|^2 - |a - n|^2 + margin)`. The negative n is semi-hard: of the images of other
    classes that are farther from the anchor than the positive, the nearest; where there is none,
    the farthest of all. Schroff, Kalenichenko, Philbin, "FaceNet: A Unified Embedding for Face
    Recognition and Clustering", 2015, equation 3 and section 3.2.

    Args:
        margin: Of squared distances.
    """

    def of_pairs(vectors: Tensor, targets: Tensor) -> Tensor:
        squares = squared_distances(vectors)
        same, itself = alike(targets)
        fixed = squares.detach()
        far, others = fixed.masked_fill(same, torch.inf).sort(dim=1)
        negatives = (~same).sum(dim=1, keepdim=True)
        place = torch.searchsorted(far, fixed, right=True)  # of the first that is farther
        chosen = others.gather(1, place.minimum((negatives - 1).clamp_min(0)))
        costs = (squares - squares.gather(1, chosen) + margin).clamp_min(0)
        pairs = same & ~itself & (negatives > 0)
        return (costs * pairs).sum() / pairs.sum().clamp_min(1)

    return MeanLoss(of_pairs)
