"""Adam: torch's, fused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch.optim.optimizer import ParamsT

from cnntrain.core.kinds import Betas, PositiveFloat
from cnntrain.optim import optimizer
from cnntrain.optim.groups import ParameterGroup, merged


@optimizer("adam")
def adam(
    *,
    groups: Sequence[ParameterGroup],
    betas: Betas = (0.9, 0.999),
    epsilon: PositiveFloat = 1e-8,
) -> torch.optim.Adam:
    """Adam; weight decay enters through the gradient.

    m <- beta1 m + (1 - beta1) g; s <- beta2 s + (1 - beta2) g^2; with both divided by what they
    lack of a mean at the start, w <- w - lr m / (sqrt(s) + epsilon). Kingma and Ba, "Adam: A Method
    for Stochastic Optimization", 2015, algorithm 1.

    Args:
        betas: Shares that the averages of the gradient and of its square keep in each step.
        epsilon: Added to the root of the second average.
    """
    return torch.optim.Adam(cast(ParamsT, merged(groups)), betas=betas, eps=epsilon, fused=True)
