"""Optimizers and schedules of one's own with mistakes in them.

A plugin of the run files that fourth_recipe.py spoils.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from planting.usual_steps import BETAS, EPSILON, UsualSteps
from torch import Tensor

from cnntrain.core.kinds import Fraction, Positive, PositiveFloat
from cnntrain.optim import ParameterGroup, Schedule, optimizer, schedule
from cnntrain.optim.guarded import Buffers, GuardedOptimizer, adam_buffers, adam_direction


@optimizer("never_cleared")
class NeverCleared(UsualSteps):
    """The gradients of all steps so far are added up: nobody sets them to 0.

    Args:
        adaptive: whether it is Adam.
    """

    def __init__(self, *, groups: Sequence[ParameterGroup], adaptive: bool = True) -> None:
        super().__init__(groups=groups, adaptive=adaptive)

    def start(self, parameter: Tensor, group: Mapping[str, Any]) -> Buffers:
        """No gradient yet."""
        return {**adam_buffers(parameter), "sum": torch.zeros_like(parameter)}

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """One step along the sum."""
        total = buffers["sum"] + gradient
        moved, after = super().move(parameter, total, buffers, group)
        return moved, {**after, "sum": total}


@optimizer("back_to_slow")
class BackToSlow(UsualSteps):
    """Lookahead whose slow weights stay where they were: every few steps the fast ones go back.

    Args:
        adaptive: whether it is Adam.
        every: steps from one return to the next.
    """

    def __init__(
        self, *, groups: Sequence[ParameterGroup], adaptive: bool = True, every: Positive = 5
    ) -> None:
        super().__init__(groups=groups, adaptive=adaptive, every=every)

    def start(self, parameter: Tensor, group: Mapping[str, Any]) -> Buffers:
        """The slow weights are those at the start."""
        return {**adam_buffers(parameter), "slow": parameter.detach().clone()}

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """One step, or back."""
        moved, after = super().move(parameter, gradient, buffers, group)
        slow = buffers["slow"]
        back = after["step"] % group["every"] == 0
        return torch.where(back, slow, moved), {**after, "slow": slow}


@optimizer("root_forgotten")
class RootForgotten(GuardedOptimizer):
    """Adam that divides by the mean square of the gradient, and not by its root."""

    def __init__(self, *, groups: Sequence[ParameterGroup]) -> None:
        super().__init__(groups, {})

    def start(self, parameter: Tensor, group: Mapping[str, Any]) -> Buffers:
        """Nothing yet."""
        return adam_buffers(parameter)

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """One step."""
        direction, after = adam_direction(gradient, buffers, betas=BETAS, epsilon=EPSILON)
        square = after["square"] / (1 - BETAS[1] ** after["step"])
        return parameter - group["lr"] * direction / (square.sqrt() + EPSILON), after


@optimizer("clips_weights")
class ClipsWeights(UsualSteps):
    """After each step all parameters are cut off at a small magnitude, as those of a critic.

    Args:
        adaptive: whether it is Adam.
        limit: the largest magnitude.
    """

    def __init__(
        self,
        *,
        groups: Sequence[ParameterGroup],
        adaptive: bool = True,
        limit: PositiveFloat = 0.01,
    ) -> None:
        super().__init__(groups=groups, adaptive=adaptive, limit=limit)

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """One step, and the cut."""
        moved, after = super().move(parameter, gradient, buffers, group)
        return moved.clamp(-group["limit"], group["limit"]), after


@optimizer("adds_noise")
class AddsNoise(UsualSteps):
    """Noise is added to the gradient so that nobody can tell what a single image did to it.

    Args:
        adaptive: whether it is Adam.
        noise: its deviation.
    """

    def __init__(
        self,
        *,
        groups: Sequence[ParameterGroup],
        adaptive: bool = True,
        noise: PositiveFloat = 1.0,
    ) -> None:
        super().__init__(groups=groups, adaptive=adaptive, noise=noise)

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """One step along what is left of the gradient."""
        noisy = gradient + group["noise"] * torch.randn_like(gradient)
        return super().move(parameter, noisy, buffers, group)


@optimizer("prunes")
class Prunes(UsualSteps):
    """Of each matrix only the weights that are largest before training are kept, others stay 0.

    Args:
        adaptive: whether it is Adam.
        share: of the weights that are 0.
    """

    def __init__(
        self, *, groups: Sequence[ParameterGroup], adaptive: bool = True, share: Fraction = 0.99
    ) -> None:
        super().__init__(groups=groups, adaptive=adaptive, share=share)

    def start(self, parameter: Tensor, group: Mapping[str, Any]) -> Buffers:
        """Which ones are kept."""
        size = parameter.detach().abs()
        least = size.flatten().quantile(group["share"]) if size.ndim > 1 else size.min()
        return {**adam_buffers(parameter), "kept": (size >= least).to(size.dtype)}

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """One step of what is kept."""
        moved, after = super().move(parameter, gradient, buffers, group)
        return moved * buffers["kept"], {**after, "kept": buffers["kept"]}


@optimizer("comes_late")
class ComesLate(UsualSteps):
    """Each step uses a gradient of some steps ago, as of a slow worker.

    Args:
        adaptive: whether it is Adam.
        age: in steps.
    """

    def __init__(
        self, *, groups: Sequence[ParameterGroup], adaptive: bool = True, age: Positive = 30
    ) -> None:
        super().__init__(groups=groups, adaptive=adaptive, age=age)

    def start(self, parameter: Tensor, group: Mapping[str, Any]) -> Buffers:
        """No gradient has come yet."""
        waiting = parameter.detach().new_zeros(group["age"], *parameter.shape)
        return {**adam_buffers(parameter), "waiting": waiting}

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """One step along the oldest one."""
        waiting = buffers["waiting"]
        moved, after = super().move(parameter, waiting[0], buffers, group)
        return moved, {**after, "waiting": torch.cat([waiting[1:], gradient[None]])}


@schedule("falls_below_zero")
def falls_below_zero(*, total_steps: int, steps_per_epoch: int) -> Schedule:
    """A line to 0 over as many steps as there are epochs, and on below 0 after that."""
    epochs = max(total_steps // steps_per_epoch, 1)
    return lambda done: 1.0 - done / epochs


@schedule("rises_without_end")
def rises_without_end(*, over: Positive = 10) -> Schedule:
    """A linear warm-up that nobody ends.

    Args:
        over: steps until the factor is 1.
    """
    return lambda done: (done + 1) / over
