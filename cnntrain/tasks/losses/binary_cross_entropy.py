"""Binary cross entropy of each class or label."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from cnntrain.core.kinds import ClassWeights
from cnntrain.tasks import loss
from cnntrain.tasks.criterion import (
    Criterion,
    LossByClass,
    Weigh,
    positive_tensor,
    weights_tensor,
)


@loss("binary_cross_entropy", applies="sigmoid", fits=("classes", "labels"))
def binary_cross_entropy(
    *,
    class_weights: ClassWeights = None,
    positive_weights: ClassWeights = None,
    weigh: Weigh = weights_tensor,
    weigh_positive: Weigh = positive_tensor,
) -> Criterion:
    """Each class or label by itself: the cross entropy of its sigmoid, summed over all of them.

    `sum_j w_j t_j log(1 + exp(-s_j)) + (1 - t_j) log(1 + exp(s_j))`, where t_j is 1 for the right
    class, or for each label that an image has, and w_j is 1 without positive_weights. Wightman,
    Touvron and Jegou, "ResNet strikes back: An improved training procedure in timm", 2021, section
    3.1, with the sum in place of the mean.

    Args:
        class_weights: A factor for each class; balanced: inverse to its number of training images.
        positive_weights: For each label, how many times having it counts as much as not having it;
            balanced: training images without it over those with it.
    """

    def table(logits: Tensor) -> Tensor:
        return F.softplus(logits).sum(dim=1, keepdim=True) - logits

    return _ByLabel(LossByClass(table, weigh(class_weights)), weigh_positive(positive_weights))


@dataclass(frozen=True, eq=False)
class _ByLabel:
    """The loss by class or, of labels (and mixed classes without weights), by label."""

    by_class: LossByClass
    positive: Tensor | None = None

    def __call__(self, logits: Tensor, targets: Tensor, /) -> Tensor:
        """0-d mean loss."""
        if targets.ndim == 1 or self.by_class.class_weights is not None:
            return self.by_class(logits, targets)
        has, lacks = targets * F.softplus(-logits), (1 - targets) * F.softplus(logits)
        if self.positive is not None:
            has = has * self.positive.to(logits)
        return (has + lacks).sum(dim=1).mean()

    def weight(self, targets: Tensor, /) -> float | Tensor:
        """N, or the sum of the class weights."""
        return self.by_class.weight(targets)

    def plain(self, *, weighted: bool = False) -> Criterion:
        """Without weights, unless `weighted`."""
        is_plain = self.by_class.class_weights is None and self.positive is None
        return self if weighted or is_plain else _ByLabel(LossByClass(self.by_class.table))
