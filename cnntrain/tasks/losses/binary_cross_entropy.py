"""Binary cross entropy of each class."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from cnntrain.core.kinds import ClassWeights
from cnntrain.tasks import loss
from cnntrain.tasks.criterion import LossByClass, Weigh, weights_tensor


@loss("binary_cross_entropy", applies="sigmoid")
def binary_cross_entropy(
    *,
    class_weights: ClassWeights = None,
    weigh: Weigh = weights_tensor,
) -> LossByClass:
    """Each class against all others: the cross entropy of its sigmoid, summed over the classes.

    `sum_j log(1 + exp(s_j)) - s_y`. Wightman, Touvron and Jegou, "ResNet strikes back: An improved
    training procedure in timm", 2021, section 3.1, with the sum over classes in place of the mean.

    Args:
        class_weights: A factor for each class; balanced: inverse to its number of training images.
    """

    def table(logits: Tensor) -> Tensor:
        return F.softplus(logits).sum(dim=1, keepdim=True) - logits

    return LossByClass(table, weigh(class_weights))
