"""Mean absolute error."""

from __future__ import annotations

from torch import Tensor

from cnntrain.tasks import loss
from cnntrain.tasks.criterion import MeanLoss


@loss("mae", fits=("numbers", "image"))
def mae() -> MeanLoss:
    """Mean absolute error: outliers pull less than in a squared error.

    The mean over images and outputs of `|output - target|`; its best constant answer is the median.
    """

    def each(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets).abs().flatten(1).mean(dim=1)

    return MeanLoss(each)
