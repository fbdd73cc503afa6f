"""Focal loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from cnntrain.core.kinds import NonNegativeFloat, Weights
from cnntrain.tasks import loss
from cnntrain.tasks.criterion import LossByClass, weights_tensor


@loss("focal", applies="softmax")
def focal(
    *,
    gamma: NonNegativeFloat = 2.0,
    class_weights: Literal["balanced"] | Weights | None = None,
    classes: Sequence[str] = (),
    class_counts: Sequence[int] = (),
    device: torch.device | str = "cpu",
) -> LossByClass:
    """Cross entropy in which well classified images count less: -(1 - p)^gamma log p.

    Lin et al., "Focal Loss for Dense Object Detection", 2017, equations 4 and 5, with p the right
    class's probability of the softmax; class_weights are its alpha.

    Args:
        gamma: How much less; 0 is cross entropy.
        class_weights: A factor for each class; balanced: inverse to its number of training images.
    """
    weights = weights_tensor(
        class_weights, classes=classes, class_counts=class_counts, device=device
    )

    def table(logits: Tensor) -> Tensor:
        logarithms = F.log_softmax(logits, dim=1)
        # above 0, where a power below 1 has no derivative
        missed = (-logarithms.expm1()).clamp_min(torch.finfo(logits.dtype).tiny)
        return -(missed**gamma) * logarithms

    return LossByClass(table, weights)
