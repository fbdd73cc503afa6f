"""RMSprop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from cnntrain.core.kinds import BelowOne, PositiveFloat
from cnntrain.optim import optimizer
from cnntrain.optim.groups import ParameterGroup
from cnntrain.optim.guarded import Buffers, GuardedOptimizer


@optimizer("rmsprop")
class RMSprop(GuardedOptimizer):
    """RMSprop: gradients divided by the root of the running mean of their square.

    s <- smoothing s + (1 - smoothing) g^2; v <- momentum v + g / (sqrt(s) + epsilon); w <- w - lr
    v. Tieleman and Hinton, "Lecture 6.5: Divide the gradient by a running average of its recent
    magnitude", 2012; centered: Graves, "Generating Sequences With Recurrent Neural Networks", 2013,
    equations 38 to 41.

    Args:
        smoothing: Share that the mean of the squares keeps in each step.
        momentum: Share of the velocity that each step keeps.
        epsilon: Added to the root.
        centered: Divide by the standard deviation: the mean's square is taken off the mean square.
    """

    def __init__(
        self,
        *,
        groups: Sequence[ParameterGroup],
        smoothing: BelowOne = 0.99,
        momentum: BelowOne = 0.0,
        epsilon: PositiveFloat = 1e-8,
        centered: bool = False,
    ) -> None:
        numbers = {
            "smoothing": smoothing,
            "momentum": momentum,
            "epsilon": epsilon,
            "centered": centered,
        }
        super().__init__(groups, numbers)

    def start(self, parameter: Tensor, group: Mapping[str, Any]) -> Buffers:
        """Means and the velocity, as far as there are any: nothing yet."""
        names = ["square"]
        names += ["velocity"] if group["momentum"] else []
        names += ["mean"] if group["centered"] else []
        return {name: torch.zeros_like(parameter) for name in names}

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """One step."""
        keep, after = group["smoothing"], {}
        gradient = gradient + group["weight_decay"] * parameter
        after["square"] = keep * buffers["square"] + (1 - keep) * gradient.square()
        variance = after["square"]
        if group["centered"]:
            after["mean"] = keep * buffers["mean"] + (1 - keep) * gradient
            variance = (variance - after["mean"].square()).clamp_min(0.0)
        direction = gradient / (variance.sqrt() + group["epsilon"])
        if group["momentum"]:
            direction = group["momentum"] * buffers["velocity"] + direction
            after["velocity"] = direction
        return parameter - group["lr"] * direction, after
