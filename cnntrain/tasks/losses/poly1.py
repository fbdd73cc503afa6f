"""Poly-1 cross entropy."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from cnntrain.core.kinds import ClassWeights
from cnntrain.tasks import loss
from cnntrain.tasks.criterion import LossByClass, Weigh, weights_tensor


@loss("poly1", applies="softmax")
def poly1(
    *,
    epsilon: float = 1.0,
    class_weights: ClassWeights = None,
    weigh: Weigh = weights_tensor,
) -> LossByClass:
    """Cross entropy with another weight of its first term: -log p + epsilon (1 - p).

    Leng et al., "PolyLoss: A Polynomial Expansion Perspective of Classification Loss Functions",
    2022, equation 6, with p the right class's probability of the softmax.

    Args:
        epsilon: Added to the weight of 1 - p, which is 1 in cross entropy; -1 leaves that term out.
        class_weights: A factor for each class; balanced: inverse to its number of training images.
    """

    def table(logits: Tensor) -> Tensor:
        logarithms = F.log_softmax(logits, dim=1)
        return -logarithms - epsilon * logarithms.expm1()

    return LossByClass(table, weigh(class_weights))
