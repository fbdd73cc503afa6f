"""The supervised contrastive loss."""

from __future__ import annotations

import torch
from torch import Tensor

from cnntrain.core.kinds import PositiveFloat
from cnntrain.tasks import loss
from cnntrain.tasks.criterion import MeanLoss
from cnntrain.tasks.distances import alike


@loss("supervised_contrastive", fits=("distances",), unit_vectors=True)
def supervised_contrastive(*, temperature: PositiveFloat = 0.1) -> MeanLoss:
    """Cross entropy of finding the images of one's class among all others of the batch.

    The mean, over the images i with another of their class, of the mean over these p of
    `-log(exp(z_i z_p / T) / sum over a != i of exp(z_i z_a / T))`. Khosla et al., "Supervised
    Contrastive Learning", 2020, equation 2; the vectors z have length 1.

    Args:
        temperature: T; the smaller, the more the nearest images count.
    """

    def of_images(vectors: Tensor, targets: Tensor) -> Tensor:
        same, itself = alike(targets)
        products = (vectors @ vectors.T / temperature).masked_fill(
            itself, torch.finfo(vectors.dtype).min
        )
        positives = same & ~itself
        counts = positives.sum(dim=1)
        logs = torch.where(positives, products.log_softmax(dim=1), 0.0).sum(dim=1)
        return -(logs / counts.clamp_min(1)).sum() / (counts > 0).sum().clamp_min(1)

    return MeanLoss(of_images)
