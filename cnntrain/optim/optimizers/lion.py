"""Lion: only the sign of an average moves the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from cnntrain.core.kinds import Betas
from cnntrain.optim import optimizer
from cnntrain.optim.groups import ParameterGroup
from cnntrain.optim.guarded import Buffers, GuardedOptimizer


@optimizer("lion")
class Lion(GuardedOptimizer):
    """Lion: each weight moves by lr, in the direction of an average's sign; decay is decoupled.

    c = beta1 m + (1 - beta1) g; w <- w - lr (sign(c) + weight_decay w); m <- beta2 m + (1 - beta2)
    g. Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023, algorithm 2. They take an
    lr 3 to 10 times smaller than AdamW's, and a weight decay as many times larger.

    Args:
        betas: Shares that the average keeps in the direction, and from step to step.
    """

    def __init__(self, *, groups: Sequence[ParameterGroup], betas: Betas = (0.9, 0.99)) -> None:
        super().__init__(groups, {"betas": betas})

    def start(self, parameter: Tensor, group: Mapping[str, Any]) -> Buffers:
        """The average: nothing yet."""
        return {"mean": torch.zeros_like(parameter)}

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """One step."""
        (first, second), mean = group["betas"], buffers["mean"]
        direction = (first * mean + (1 - first) * gradient).sign()
        direction = direction + group["weight_decay"] * parameter
        after = {"mean": second * mean + (1 - second) * gradient}
        return parameter - group["lr"] * direction, after
