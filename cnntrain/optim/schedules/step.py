"""A factor after every so many epochs."""

from __future__ import annotations

from cnntrain.core.kinds import OpenFraction, Positive
from cnntrain.optim import schedule
from cnntrain.optim.warmup import Schedule


@schedule("step")
def step(
    *, every: Positive, factor: OpenFraction = 0.1, steps_per_epoch: int, warmup_steps: int = 0
) -> Schedule:
    """A factor after every so many epochs: `factor ** (epochs done // every)`.

    The epochs are those of the run, so a warm-up does not move the changes.

    Args:
        every: Epochs from one change to the next.
        factor: Factor of each change.
    """
    steps = every * steps_per_epoch
    return lambda done: float(factor ** ((done + warmup_steps) // steps))
