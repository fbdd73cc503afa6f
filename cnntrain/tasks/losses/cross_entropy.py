"""Cross entropy of the softmax."""

from __future__ import annotations

import copy

import torch.nn.functional as F
from torch import Tensor

from cnntrain.core.kinds import BelowOne, ClassWeights
from cnntrain.tasks import loss
from cnntrain.tasks.criterion import Weigh, total_weight, weights_tensor


@loss("cross_entropy", applies="softmax")
class CrossEntropy:
    """Cross entropy of the softmax: minus the logarithm of the right class's probability.

    Label smoothing: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision",
    2016, section 7; the loss of a perfect answer is then above 0.

    Args:
        label_smoothing: Share of the target that is spread evenly over all classes.
        class_weights: A factor for each class; balanced: inverse to its number of training images.
    """

    def __init__(
        self,
        *,
        label_smoothing: BelowOne = 0.0,
        class_weights: ClassWeights = None,
        weigh: Weigh = weights_tensor,
    ) -> None:
        self.label_smoothing = label_smoothing
        self.class_weights = weigh(class_weights)

    def __call__(self, logits: Tensor, targets: Tensor, /) -> Tensor:
        """0-d mean loss."""
        weights = None if self.class_weights is None else self.class_weights.to(logits)
        mean = F.cross_entropy(
            logits, targets, weight=weights, label_smoothing=self.label_smoothing
        )
        if weights is None or targets.ndim == 1:
            return mean
        return mean * (targets.shape[0] / self.weight(targets))  # of shares torch divides by N

    def weight(self, targets: Tensor, /) -> float | Tensor:
        """N, or the sum of the class weights."""
        return total_weight(self.class_weights, targets)

    def plain(self, *, weighted: bool = False) -> CrossEntropy:
        """Without label smoothing and, unless `weighted`, without class weights."""
        if not self.label_smoothing and (weighted or self.class_weights is None):
            return self
        other = copy.copy(self)
        other.label_smoothing = 0.0
        other.class_weights = self.class_weights if weighted else None
        return other
