"""What optimizers of one's own begin with, before something goes wrong in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from cnntrain.optim import ParameterGroup
from cnntrain.optim.guarded import Buffers, GuardedOptimizer, adam_buffers, adam_direction

BETAS, EPSILON, MOMENTUM = (0.9, 0.999), 1e-8, 0.9


class UsualSteps(GuardedOptimizer):
    """Adam, or gradient descent with momentum, to be spoiled.

    Args:
        groups: the parameters.
        adaptive: whether it is Adam.
    """

    def __init__(
        self, *, groups: Sequence[ParameterGroup], adaptive: bool = True, **more: Any
    ) -> None:
        super().__init__(groups, {"adaptive": adaptive, **more})

    def start(self, parameter: Tensor, group: Mapping[str, Any]) -> Buffers:
        """Nothing yet."""
        return adam_buffers(parameter)

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """One step."""
        if group["adaptive"]:
            direction, after = adam_direction(gradient, buffers, betas=BETAS, epsilon=EPSILON)
        else:
            direction = MOMENTUM * buffers["mean"] + gradient
            after = {**buffers, "mean": direction, "step": buffers["step"] + 1}
        return parameter - group["lr"] * direction, after
