"""Learning-rate schedules: pure functions from the number of steps done to a factor.

The learning rate of a step is `lr * schedule(step) * plateau factor * the group's lr_factor`.
`step` counts optimizer steps from 0 (the first step of the run asks for `schedule(0)`), over the
whole run: a schedule has no state, so a resumed run asks the same and is answered the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol


class Schedule(Protocol):
    """Anything that turns a step into a factor of the learning rate."""

    def __call__(self, step: int, /) -> float:
        """The factor for the step that follows `step` finished ones."""
        ...


@dataclass(frozen=True)
class Constant:
    """1 at every step."""

    def __call__(self, step: int, /) -> float:
        """The factor for the step that follows `step` finished ones."""
        return 1.0


@dataclass(frozen=True)
class StepDecay:
    """`gamma ** (step // every)`.

    Args:
        every: steps between two drops.
        gamma: what each drop multiplies by.
    """

    every: int
    gamma: float = 0.1

    def __call__(self, step: int, /) -> float:
        """The factor for the step that follows `step` finished ones."""
        return float(self.gamma ** (step // self.every))


@dataclass(frozen=True)
class MultiStep:
    """`gamma` to the number of milestones that have been reached (`milestone <= step`).

    Args:
        milestones: steps, in any order.
        gamma: what each milestone multiplies by.
    """

    milestones: tuple[int, ...]
    gamma: float = 0.1

    def __call__(self, step: int, /) -> float:
        """The factor for the step that follows `step` finished ones."""
        return float(self.gamma ** sum(milestone <= step for milestone in self.milestones))


@dataclass(frozen=True)
class Exponential:
    """`gamma ** (step / every)`: smooth, a factor of `gamma` in each `every` steps.

    Args:
        gamma: the factor over `every` steps.
        every: steps, usually those of one epoch.
    """

    gamma: float
    every: int = 1

    def __call__(self, step: int, /) -> float:
        """The factor for the step that follows `step` finished ones."""
        return float(self.gamma ** (step / self.every))


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from 1 to `floor` (Loshchilov and Hutter 2017, equation 5, no restarts).

    `floor + (1 - floor) * (1 + cos(pi * step / total)) / 2`; `floor` from step `total` on.

    Args:
        total: steps until the floor.
        floor: the last factor.
    """

    total: int
    floor: float = 0.0

    def __call__(self, step: int, /) -> float:
        """The factor for the step that follows `step` finished ones."""
        done = _share(step, self.total)
        return self.floor + (1.0 - self.floor) * 0.5 * (1.0 + math.cos(math.pi * done))


@dataclass(frozen=True)
class Polynomial:
    """`floor + (1 - floor) * (1 - step / total) ** power`; `floor` from step `total` on.

    Args:
        total: steps until the floor.
        power: 1 is a straight line.
        floor: the last factor.
    """

    total: int
    power: float = 1.0
    floor: float = 0.0

    def __call__(self, step: int, /) -> float:
        """The factor for the step that follows `step` finished ones."""
        done = _share(step, self.total)
        return float(self.floor + (1.0 - self.floor) * (1.0 - done) ** self.power)


@dataclass(frozen=True)
class Warmup:
    """A linear rise, then the main schedule, whose own clock starts at 0 after the rise.

    For `step < steps` the factor is `then(0) * (step + 1) / (steps + 1)`, so never 0; from
    `step = steps` on it is `then(step - steps)`, whose first value continues the line. So a main
    schedule that should end with the run has `total = steps of the run - steps`, and milestones
    that are meant from the beginning of the run are given less `steps`.

    Args:
        steps: length of the rise.
        then: the schedule after it.
    """

    steps: int
    then: Schedule

    def __call__(self, step: int, /) -> float:
        """The factor for the step that follows `step` finished ones."""
        if step < self.steps:
            return self.then(0) * (step + 1) / (self.steps + 1)
        return self.then(step - self.steps)


def _share(step: int, total: int) -> float:
    """Of the way that is done. No way at all begins at 0, so a warm-up may take the whole run."""
    if step <= 0:
        return 0.0
    return min(step / total, 1.0) if total > 0 else 1.0
