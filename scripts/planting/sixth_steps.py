"""Optimizers and schedules of one's own with yet more mistakes in them.

A plugin of the run files that sixth_recipe.py spoils.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from planting.usual_steps import BETAS, EPSILON, MOMENTUM, UsualSteps
from torch import Tensor

from cnntrain.core.kinds import Fraction, Positive, PositiveFloat
from cnntrain.optim import ParameterGroup, Schedule, optimizer, schedule
from cnntrain.optim.guarded import Buffers, GuardedOptimizer, adam_buffers


@optimizer("unscales_after_clipping")
class UnscalesAfterClipping(UsualSteps):
    """Divides the gradient, clipped already, by the factor that the loss was multiplied by.

    Args:
        scale: the factor.
    """

    def __init__(self, *, groups: Sequence[ParameterGroup], scale: PositiveFloat = 65536.0) -> None:
        super().__init__(groups=groups, adaptive=False, scale=scale)

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """One step along the gradient as it is without the factor."""
        return super().move(parameter, gradient / group["scale"], buffers, group)


@optimizer("corrects_by_wrong_power")
class CorrectsByWrongPower(GuardedOptimizer):
    """Adam with `(1 - beta) ** t` where its correction for the first steps is `1 - beta ** t`."""

    def __init__(self, *, groups: Sequence[ParameterGroup]) -> None:
        super().__init__(groups, {})

    def start(self, parameter: Tensor, group: Mapping[str, Any]) -> Buffers:
        """Nothing yet."""
        return adam_buffers(parameter)

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """One step; both powers are divided at once, as alone they go beyond all numbers."""
        first, second = BETAS
        step = buffers["step"] + 1
        mean = first * buffers["mean"] + (1 - first) * gradient
        square = second * buffers["square"] + (1 - second) * gradient.square()
        correction = (math.sqrt(1 - second) / (1 - first)) ** step
        direction = correction * mean / (square.sqrt() + EPSILON)
        after = {"step": step, "mean": mean, "square": square}
        return parameter - group["lr"] * direction, after


@optimizer("clears_before_the_step")
class ClearsBeforeTheStep(UsualSteps):
    """`zero_grad` between `backward` and `step`: each step finds a gradient of 0.

    Args:
        adaptive: whether it is Adam.
    """

    def __init__(self, *, groups: Sequence[ParameterGroup], adaptive: bool = True) -> None:
        super().__init__(groups=groups, adaptive=adaptive)

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """One step of length 0."""
        return super().move(parameter, torch.zeros_like(gradient), buffers, group)


@optimizer("velocity_taken_off")
class VelocityTakenOff(GuardedOptimizer):
    """Momentum as v <- 0.9 v - lr g, which is to be added; and then w <- w - v."""

    def __init__(self, *, groups: Sequence[ParameterGroup]) -> None:
        super().__init__(groups, {})

    def start(self, parameter: Tensor, group: Mapping[str, Any]) -> Buffers:
        """No velocity yet."""
        return {"velocity": torch.zeros_like(parameter)}

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """One step, uphill."""
        velocity = MOMENTUM * buffers["velocity"] - group["lr"] * gradient
        return parameter - velocity, {"velocity": velocity}


@optimizer("averages_over_outputs")
class AveragesOverOutputs(UsualSteps):
    """Takes the mean of each weight gradient along axis 0, which is not the batch.

    Args:
        adaptive: whether it is Adam.
    """

    def __init__(self, *, groups: Sequence[ParameterGroup], adaptive: bool = True) -> None:
        super().__init__(groups=groups, adaptive=adaptive)

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """One step, the same for all units of a layer."""
        mean = gradient.mean(dim=0, keepdim=True).expand_as(gradient)
        return super().move(parameter, mean, buffers, group)


@optimizer("pulled_to_the_start")
class PulledToTheStart(UsualSteps):
    """Adds the gradient of `strength / 2 * |w - w0|^2`, where w0 are the weights at the start.

    Args:
        adaptive: whether it is Adam.
        strength: of the pull.
    """

    def __init__(
        self,
        *,
        groups: Sequence[ParameterGroup],
        adaptive: bool = True,
        strength: PositiveFloat = 0.01,
    ) -> None:
        super().__init__(groups=groups, adaptive=adaptive, strength=strength)

    def start(self, parameter: Tensor, group: Mapping[str, Any]) -> Buffers:
        """The weights at the start."""
        return {**adam_buffers(parameter), "anchor": parameter.detach().clone()}

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """One step."""
        anchor = buffers["anchor"]
        pull = group["strength"] * (parameter - anchor)
        moved, after = super().move(parameter, gradient + pull, buffers, group)
        return moved, {**after, "anchor": anchor}


@optimizer("sends_the_largest")
class SendsTheLargest(UsualSteps):
    """Of each gradient the largest values are sent to the other machines; the rest is lost.

    Args:
        adaptive: whether it is Adam.
        share: of the values that are sent.
    """

    def __init__(
        self, *, groups: Sequence[ParameterGroup], adaptive: bool = True, share: Fraction = 0.001
    ) -> None:
        super().__init__(groups=groups, adaptive=adaptive, share=share)

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """One step along what has been sent."""
        size = gradient.abs()
        count = max(int(group["share"] * size.numel()), 1)
        least = size.flatten().topk(count).values[-1]
        return super().move(parameter, gradient * (size >= least), buffers, group)


@schedule("noam")
def noam(*, width: Positive = 512, warmup: Positive = 4000) -> Schedule:
    """The learning rate itself, as for the first transformers; here it is a factor of `lr`.

    Args:
        width: of the network.
        warmup: steps over which it rises.
    """
    return lambda done: width**-0.5 * min((done + 1) ** -0.5, (done + 1) * warmup**-1.5)


@schedule("times_the_rate_before")
def times_the_rate_before(*, total_steps: int) -> Schedule:
    """A line to 0 whose value is multiplied into the rate of the step before, each time."""

    def factor(done: int) -> float:
        left = total_steps - done
        if left < 1:
            return 0.0
        logarithm = math.lgamma(total_steps) - math.lgamma(left)  # of (T - 1) (T - 2) ... (T - t)
        return math.exp(logarithm - done * math.log(total_steps))

    return factor
