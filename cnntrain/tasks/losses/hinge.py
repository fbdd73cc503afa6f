"""The hinge loss of support vector machines."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from cnntrain.core.kinds import PositiveFloat
from cnntrain.tasks import loss
from cnntrain.tasks.criterion import LossByClass


@loss("hinge")
def hinge(
    *,
    form: Literal["crammer_singer", "one_vs_rest"] = "crammer_singer",
    margin: PositiveFloat = 1.0,
    squared: bool = False,
) -> LossByClass:
    """The hinge loss: the network's last layer becomes a linear support vector machine.

    crammer_singer: `max(0, margin + max_{j != y} s_j - s_y)` (Crammer and Singer, "On the
    Algorithmic Implementation of Multiclass Kernel-based Vector Machines", 2001). one_vs_rest:
    `sum_j max(0, margin - t_j s_j)`, t_j is 1 for the right class and -1 for others (Vapnik 1995).
    Decay of the last layer's weights is the machine's regularisation.

    Args:
        form: One machine for all classes, or one for each.
        margin: By how much the right class's score is to be ahead, or on the right side of 0.
        squared: Square each term (L2-SVM: Tang, "Deep Learning using Linear Support Vector
            Machines", 2013).
    """

    def cost(short: Tensor) -> Tensor:
        return short.clamp_min(0.0).square() if squared else short.clamp_min(0.0)

    def against_best(logits: Tensor) -> Tensor:
        best = logits.topk(2, dim=1)
        is_best = logits == best.values[:, :1]
        other = best.values[:, :1].where(~is_best, best.values[:, 1:])
        return cost(margin + other - logits)

    def against_rest(logits: Tensor) -> Tensor:
        no = cost(margin + logits)
        return no.sum(dim=1, keepdim=True) - no + cost(margin - logits)

    return LossByClass(against_best if form == "crammer_singer" else against_rest)
