"""Huber's loss."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from cnntrain.core.kinds import PositiveFloat
from cnntrain.tasks import loss
from cnntrain.tasks.criterion import MeanLoss


@loss("huber", fits=("numbers", "image"))
def huber(*, delta: PositiveFloat = 1.0) -> MeanLoss:
    """Squared for small errors, absolute for large ones: smooth, and outliers pull little.

    The mean over images and outputs of `e^2 / 2` where `|e| <= delta`, else `delta |e| - delta^2 /
    2` (Huber, "Robust Estimation of a Location Parameter", 1964).

    Args:
        delta: Where it changes, in deviations of the numbers if these are normalised.
    """

    def each(outputs: Tensor, targets: Tensor) -> Tensor:
        losses = F.huber_loss(outputs, targets, reduction="none", delta=delta)
        return losses.flatten(1).mean(dim=1)

    return MeanLoss(each)
