"""Mean squared error."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from cnntrain.tasks import loss
from cnntrain.tasks.criterion import MeanLoss


@loss("mse")
def mse() -> MeanLoss:
    """Mean squared error between the outputs and the one-hot targets.

    The mean over images of `1/2 |outputs - onehot(target)|^2`, the sum over classes. LeCun et al.,
    "Gradient-Based Learning Applied to Document Recognition", 1998: the gradient is `outputs -
    onehot`; torch's MSELoss also divides by the number of classes and has no 1/2.
    """
    return MeanLoss(_half_square)


def _half_square(logits: Tensor, targets: Tensor) -> Tensor:
    wanted = F.one_hot(targets, logits.shape[1]) if targets.ndim == 1 else targets
    return 0.5 * (logits - wanted.to(logits.dtype)).square().sum(dim=1)
