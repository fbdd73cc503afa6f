"""A sparse code by the Kullback-Leibler divergence of mean activations."""

from __future__ import annotations

import torch
from torch import Tensor

from cnntrain.core.kinds import ClassList, NonNegativeFloat, OpenFraction
from cnntrain.train.activations import ActivationPenalty, Misplaced, Seen
from cnntrain.train.penalties import penalty

_BETWEEN_0_AND_1 = ("sigmoid", "hard_sigmoid", "softmax")
_LEAST = 1e-7
"""No mean counts as nearer to 0 or 1, where the divergence is infinite."""


@penalty("kl_sparsity", whole_batch=True)
def kl_sparsity(
    *, layers: ClassList, rho: OpenFraction = 0.05, beta: NonNegativeFloat = 3.0
) -> ActivationPenalty:
    """Units that are active for a share rho of the images: KL(rho || mean activation).

    `beta sum over units j of rho log(rho / r_j) + (1 - rho) log((1 - rho) / (1 - r_j))`, where
    r_j = 1/m sum over the m images of the batch of a_j(x): Ng, "Sparse Autoencoder", CS294A lecture
    notes, 2011, section 3, whose mean is over all training images. Here it is the batch's own, not
    a running one, so it takes batches of several times 1/rho images. With sigmoid units the
    gradient at z_j for each image is beta / m (-rho / r_j + (1 - rho) / (1 - r_j)) a_j (1 - a_j):
    the factor a (1 - a) applies to this term as it does to the loss. Of maps a unit is a whole map,
    whose mean is over its pixels, too.

    Args:
        layers: Names of layers with outputs between 0 and 1: sigmoid, hard_sigmoid, softmax.
        rho: Mean activation that units are drawn to, above 0 and below 1.
        beta: Factor of the sum.
    """

    def each(layer: Seen) -> Tensor:
        mean = layer.output.transpose(0, 1).flatten(1).mean(dim=1).clamp(_LEAST, 1 - _LEAST)
        active = rho * (rho / mean).log()
        silent = (1 - rho) * ((1 - rho) / (1 - mean)).log()
        return beta * torch.sum(active + silent)

    def misplaced(operation: str, follows: str | None) -> Misplaced | None:
        if operation in _BETWEEN_0_AND_1:
            return None
        what = f"the outputs of a layer '{operation}' need not be between 0 and 1"
        return Misplaced(what, "name the sigmoid behind it, or put one there")

    return ActivationPenalty(layers, each, misplaced)
