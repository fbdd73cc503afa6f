"""Optimizers and schedules of one's own with further mistakes in them.

A plugin of the run files that fifth_recipe.py spoils.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from planting.usual_steps import UsualSteps
from torch import Tensor

from cnntrain.core.kinds import Positive, PositiveFloat
from cnntrain.optim import ParameterGroup, Schedule, optimizer, schedule
from cnntrain.optim.guarded import Buffers, GuardedOptimizer, adam_buffers


@optimizer("rprop")
class Rprop(GuardedOptimizer):
    """Resilient propagation: a step for each weight, longer while its gradient keeps its sign."""

    def __init__(self, *, groups: Sequence[ParameterGroup]) -> None:
        super().__init__(groups, {})

    def start(self, parameter: Tensor, group: Mapping[str, Any]) -> Buffers:
        """The first step is the learning rate."""
        size = torch.full_like(parameter, float(group["lr"]))
        return {"size": size, "before": torch.zeros_like(parameter)}

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """One step by the sign of the gradient."""
        agrees = (gradient * buffers["before"]).sign()
        factor = 1 + 0.2 * (agrees > 0) - 0.5 * (agrees < 0)
        size = (buffers["size"] * factor).clamp(1e-6, 50.0)
        used = torch.where(agrees < 0, torch.zeros_like(gradient), gradient)
        return parameter - size * used.sign(), {"size": size, "before": used}


@optimizer("adadelta")
class Adadelta(GuardedOptimizer):
    """Zeiler's method: the length of a step follows from the steps before, times a rate near 1."""

    def __init__(self, *, groups: Sequence[ParameterGroup]) -> None:
        super().__init__(groups, {})

    def start(self, parameter: Tensor, group: Mapping[str, Any]) -> Buffers:
        """Nothing yet."""
        zeros = torch.zeros_like(parameter)
        return {"square": zeros, "moved": zeros.clone()}

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """One step."""
        square = 0.9 * buffers["square"] + 0.1 * gradient.square()
        change = ((buffers["moved"] + 1e-6) / (square + 1e-6)).sqrt() * gradient
        moved = 0.9 * buffers["moved"] + 0.1 * change.square()
        return parameter - group["lr"] * change, {"square": square, "moved": moved}


@optimizer("steps_after_the_loop")
class StepsAfterTheLoop(UsualSteps):
    """Each gradient is thrown away but that of the last batch of an epoch.

    Args:
        adaptive: whether it is Adam.
        batches: of an epoch.
    """

    def __init__(
        self, *, groups: Sequence[ParameterGroup], adaptive: bool = True, batches: Positive = 50
    ) -> None:
        super().__init__(groups=groups, adaptive=adaptive, batches=batches)

    def start(self, parameter: Tensor, group: Mapping[str, Any]) -> Buffers:
        """No batch yet."""
        batches = torch.zeros((), device=parameter.device)
        return {**adam_buffers(parameter), "batches": batches}

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """One step, or none."""
        count = buffers["batches"] + 1
        is_last = count % group["batches"] == 0
        moved, after = super().move(parameter, gradient, buffers, group)
        kept = {name: torch.where(is_last, after[name], buffers[name]) for name in after}
        return torch.where(is_last, moved, parameter), {**kept, "batches": count}


@optimizer("grows_weights")
class GrowsWeights(UsualSteps):
    """Decoupled weight decay that is added where it ought to be taken off.

    Args:
        adaptive: whether it is Adam.
        decay: times the learning rate and the weights.
    """

    def __init__(
        self,
        *,
        groups: Sequence[ParameterGroup],
        adaptive: bool = True,
        decay: PositiveFloat = 0.5,
    ) -> None:
        super().__init__(groups=groups, adaptive=adaptive, decay=decay)

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """One step, and the decay of the wrong sign."""
        moved, after = super().move(parameter, gradient, buffers, group)
        return moved + group["lr"] * group["decay"] * parameter, after


@optimizer("keeps_eight_bits")
class KeepsEightBits(UsualSteps):
    """Weights are kept in eight bits, and what a step changes is rounded away.

    Args:
        adaptive: whether it is Adam.
    """

    def __init__(self, *, groups: Sequence[ParameterGroup], adaptive: bool = True) -> None:
        super().__init__(groups=groups, adaptive=adaptive)

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """One step, rounded."""
        moved, after = super().move(parameter, gradient, buffers, group)
        return moved.to(torch.float8_e4m3fn).to(parameter.dtype), after


@schedule("whole_numbers")
def whole_numbers(*, total_steps: int) -> Schedule:
    """A line to 0 in whole numbers: 1 in the first step, and 0 in all others."""
    return lambda done: float((total_steps - done) // total_steps)
