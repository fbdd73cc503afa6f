"""Optimizers of our own: a formula for one parameter, and a step that may be called off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from cnntrain.optim.groups import ParameterGroup

Buffers = dict[str, Tensor]


class GuardedOptimizer(Optimizer):
    """What `start` and `move` say, for each parameter that has a gradient.

    While the 0-d flag `found_inf` is 1 a step changes nothing, and the host does not wait for the
    device to know: as in torch's fused optimizers. `lr` and `weight_decay` are the group's.

    Args:
        groups: from `parameter_groups`.
        numbers: what else `move` reads from a group.
    """

    found_inf: Tensor | None = None

    def __init__(self, groups: Sequence[ParameterGroup], numbers: Mapping[str, Any]) -> None:
        super().__init__(cast(ParamsT, groups), {"lr": 0.0, **numbers})

    def start(self, parameter: Tensor, group: Mapping[str, Any]) -> Buffers:
        """What is remembered of a parameter before its first step."""
        raise NotImplementedError

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """The parameter after a step, and the buffers; the arguments stay as they are."""
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no closures
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                buffers = self.state[parameter]
                if not buffers:
                    buffers.update(self.start(parameter, group))
                moved, after = self.move(parameter, parameter.grad, buffers, group)
                self._take(parameter, moved)
                for name, value in after.items():
                    self._take(buffers[name], value)

    def _take(self, old: Tensor, new: Tensor) -> None:
        old.copy_(new if self.found_inf is None else torch.where(self.found_inf > 0, old, new))


def adam_buffers(parameter: Tensor) -> Buffers:
    """Steps done, and the running means of the gradient and of its square: nothing yet."""
    return {
        "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
        "mean": torch.zeros_like(parameter),
        "square": torch.zeros_like(parameter),
    }


def adam_direction(
    gradient: Tensor, buffers: Buffers, *, betas: tuple[float, float], epsilon: float
) -> tuple[Tensor, Buffers]:
    """Adam's step before the learning rate (Kingma and Ba 2015, algorithm 1), and the buffers."""
    first, second = betas
    step = buffers["step"] + 1
    mean = first * buffers["mean"] + (1 - first) * gradient
    square = second * buffers["square"] + (1 - second) * gradient.square()
    root = (square / (1 - second**step)).sqrt() + epsilon
    return mean / (1 - first**step) / root, {"step": step, "mean": mean, "square": square}
