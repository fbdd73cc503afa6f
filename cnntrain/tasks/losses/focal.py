"""Focal loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cnntrain.core.kinds import ClassWeights, NonNegativeFloat
from cnntrain.tasks import loss
from cnntrain.tasks.criterion import LossByClass, Weigh, weights_tensor


@loss("focal", applies="softmax")
def focal(
    *,
    gamma: NonNegativeFloat = 2.0,
    class_weights: ClassWeights = None,
    weigh: Weigh = weights_tensor,
) -> LossByClass:
    """Cross entropy in which well classified images count less: -(1 - p)^gamma log p.

    Lin et al., "Focal Loss for Dense Object Detection", 2017, equations 4 and 5, with p the right
    class's probability of the softmax; class_weights are its alpha.

    Args:
        gamma: How much less; 0 is cross entropy.
        class_weights: A factor for each class; balanced: inverse to its number of training images.
    """

    def table(logits: Tensor) -> Tensor:
        logarithms = F.log_softmax(logits, dim=1)
        # above 0, where a power below 1 has no derivative
        missed = (-logarithms.expm1()).clamp_min(torch.finfo(logits.dtype).tiny)
        return -(missed**gamma) * logarithms

    return LossByClass(table, weigh(class_weights))
