"""Poly-1 cross entropy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from cnntrain.core.kinds import Weights
from cnntrain.tasks import loss
from cnntrain.tasks.criterion import LossByClass, weights_tensor


@loss("poly1", applies="softmax")
def poly1(
    *,
    epsilon: float = 1.0,
    class_weights: Literal["balanced"] | Weights | None = None,
    classes: Sequence[str] = (),
    class_counts: Sequence[int] = (),
    device: torch.device | str = "cpu",
) -> LossByClass:
    """Cross entropy with another weight of its first term: -log p + epsilon (1 - p).

    Leng et al., "PolyLoss: A Polynomial Expansion Perspective of Classification Loss Functions",
    2022, equation 6, with p the right class's probability of the softmax.

    Args:
        epsilon: Added to the weight of 1 - p, which is 1 in cross entropy; -1 leaves that term out.
        class_weights: A factor for each class; balanced: inverse to its number of training images.
    """
    weights = weights_tensor(
        class_weights, classes=classes, class_counts=class_counts, device=device
    )

    def table(logits: Tensor) -> Tensor:
        logarithms = F.log_softmax(logits, dim=1)
        return -logarithms - epsilon * logarithms.expm1()

    return LossByClass(table, weights)
