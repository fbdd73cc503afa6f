"""A factor per epoch, applied in every step."""

from __future__ import annotations

from cnntrain.core.kinds import OpenFraction
from cnntrain.optim import schedule
from cnntrain.optim.warmup import Schedule


@schedule("exponential")
def exponential(*, factor: OpenFraction, steps_per_epoch: int) -> Schedule:
    """A factor per epoch, applied in every step: `factor ** (steps / steps per epoch)`.

    Args:
        factor: Factor of one epoch.
    """
    return lambda done: float(factor ** (done / steps_per_epoch))
