"""What a schedule is: a pure function from the number of steps done to a factor; and the warm-up.

The learning rate of a step is `lr * schedule(step) * plateau factor * the group's lr_factor`.
`step` counts optimizer steps from 0 (the first step of the run asks for `schedule(0)`), over the
whole run: a schedule has no state, so a resumed run asks the same and is answered the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

Schedule = Callable[[int], float]
"""The factor for the step that follows so many finished ones."""


@dataclass(frozen=True)
class Warmup:
    """A linear rise, then the main schedule, whose own clock starts at 0 after the rise.

    For `step < steps` the factor is `then(0) * (step + 1) / (steps + 1)`, so never 0; from
    `step = steps` on it is `then(step - steps)`, whose first value continues the line. So a main
    schedule that should end with the run has `total_steps = steps of the run - steps`, and
    milestones that are meant from the beginning of the run are given less `steps`.

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


def half_cosine(first: float, last: float, share: float) -> float:
    """From the first value to the last, when a share of the way is done."""
    return last + (first - last) * 0.5 * (1.0 + math.cos(math.pi * share))


def share_done(step: int, total: int) -> float:
    """Of the way that is done. No way at all begins at 0, so a warm-up may take the whole run."""
    if step <= 0:
        return 0.0
    return min(step / total, 1.0) if total > 0 else 1.0
