"""Mean squared error."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from cnntrain.tasks import loss
from cnntrain.tasks.criterion import MeanLoss


@loss("mse", fits=("classes", "numbers", "labels", "image"))
def mse() -> MeanLoss:
    """Mean squared error between the outputs and the targets, of classes the one-hot ones.

    The mean over images of `1/2 |outputs - target|^2`, the sum over outputs. LeCun et al.,
    "Gradient-Based Learning Applied to Document Recognition", 1998: the gradient is `outputs -
    target`; torch's MSELoss also divides by the number of outputs and has no 1/2.
    """
    return MeanLoss(_half_square)


def _half_square(logits: Tensor, targets: Tensor) -> Tensor:
    wanted = F.one_hot(targets, logits.shape[1]) if targets.ndim == 1 else targets
    return 0.5 * (logits - wanted.to(logits.dtype)).square().flatten(1).sum(dim=1)
