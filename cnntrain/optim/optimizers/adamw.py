"""Adam with decoupled weight decay: torch's, fused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch.optim.optimizer import ParamsT

from cnntrain.core.kinds import Betas, PositiveFloat
from cnntrain.optim import optimizer
from cnntrain.optim.groups import ParameterGroup, merged


@optimizer("adamw", defaults={"weight_decay": 0.01})
def adamw(
    *,
    groups: Sequence[ParameterGroup],
    betas: Betas = (0.9, 0.999),
    epsilon: PositiveFloat = 1e-8,
) -> torch.optim.AdamW:
    """Adam with decoupled weight decay.

    As adam, and w <- w - lr weight_decay w besides. Loshchilov and Hutter, "Decoupled Weight Decay
    Regularization", 2019, algorithm 2.

    Args:
        betas: Shares that the averages of the gradient and of its square keep in each step.
        epsilon: Added to the root of the second average.
    """
    return torch.optim.AdamW(cast(ParamsT, merged(groups)), betas=betas, eps=epsilon, fused=True)
