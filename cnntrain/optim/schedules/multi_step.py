"""A factor after each of the given epochs."""

from __future__ import annotations

from cnntrain.core.kinds import Milestones, OpenFraction
from cnntrain.optim import schedule
from cnntrain.optim.warmup import Schedule


@schedule("multi_step")
def multi_step(
    *,
    milestones: Milestones,
    factor: OpenFraction = 0.1,
    steps_per_epoch: int,
    warmup_steps: int = 0,
) -> Schedule:
    """A factor after each of the given epochs: `factor` to the number of them that are done.

    The epochs are those of the run, so a warm-up does not move the changes.

    Args:
        milestones: Epochs after which the learning rate changes.
        factor: Factor of each change.
    """
    steps = [round(epoch * steps_per_epoch) - warmup_steps for epoch in milestones]
    return lambda done: float(factor ** sum(milestone <= done for milestone in steps))
