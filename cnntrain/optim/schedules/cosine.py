"""Half a cosine."""

from __future__ import annotations

from cnntrain.core.kinds import BelowOne
from cnntrain.optim import schedule
from cnntrain.optim.warmup import Schedule, half_cosine, share_done


@schedule("cosine")
def cosine(*, floor: BelowOne = 0.0, total_steps: int) -> Schedule:
    """Half a cosine down to the floor at the last step.

    `floor + (1 - floor) (1 + cos(pi t)) / 2`, where t is the share of the steps that are done.
    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017, equation 5,
    without restarts.

    Args:
        floor: Factor at the end.
    """
    return lambda done: half_cosine(1.0, floor, share_done(done, total_steps))
