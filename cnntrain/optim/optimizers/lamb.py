"""LAMB: Adam with a trust ratio for each layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from cnntrain.core.kinds import Betas, PositiveFloat
from cnntrain.optim import optimizer
from cnntrain.optim.groups import ParameterGroup
from cnntrain.optim.guarded import Buffers, GuardedOptimizer, adam_buffers, adam_direction


@optimizer("lamb", defaults={"weight_decay": 0.01})
class Lamb(GuardedOptimizer):
    """LAMB: Adam's step, scaled to each weight's own norm, for large batches.

    u = Adam's direction + weight_decay w; w <- w - lr |w| / |u| u, where the ratio is 1 if either
    norm is 0. You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76
    minutes", 2020, algorithm 2. As in the authors' program the ratio is 1 for what does not decay
    (biases and normalisations, unless `decay_norm_and_bias`).

    Args:
        betas: Shares that the averages of the gradient and of its square keep in each step.
        epsilon: Added to the root of the second average.
    """

    def __init__(
        self,
        *,
        groups: Sequence[ParameterGroup],
        betas: Betas = (0.9, 0.999),
        epsilon: PositiveFloat = 1e-6,
    ) -> None:
        super().__init__(groups, {"betas": betas, "epsilon": epsilon})

    def start(self, parameter: Tensor, group: Mapping[str, Any]) -> Buffers:
        """Adam's."""
        return adam_buffers(parameter)

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """One step."""
        direction, after = adam_direction(
            gradient, buffers, betas=group["betas"], epsilon=group["epsilon"]
        )
        direction = direction + group["weight_decay"] * parameter
        if group["decayed"]:
            ratio = parameter.norm() / direction.norm()
            usable = ratio.isfinite() & (ratio > 0)
            direction = torch.where(usable, ratio, torch.ones_like(ratio)) * direction
        return parameter - group["lr"] * direction, after
