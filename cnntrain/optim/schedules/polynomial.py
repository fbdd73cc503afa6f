"""A power of the remaining share of the training."""

from __future__ import annotations

from cnntrain.core.kinds import BelowOne, PositiveFloat
from cnntrain.optim import schedule
from cnntrain.optim.warmup import Schedule, share_done


@schedule("polynomial")
def polynomial(*, power: PositiveFloat = 1.0, floor: BelowOne = 0.0, total_steps: int) -> Schedule:
    """A power of the remaining share of the training; 1 is a straight line.

    `floor + (1 - floor) (1 - t) ** power`, where t is the share of the steps that are done.

    Args:
        power: The power.
        floor: Factor at the end.
    """

    def factor(done: int) -> float:
        share = share_done(done, total_steps)
        return float(floor + (1.0 - floor) * (1.0 - share) ** power)

    return factor
