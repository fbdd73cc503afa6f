"""Half a cosine, again and again."""

from __future__ import annotations

from cnntrain.core.kinds import BelowOne, Positive, PositiveFloat
from cnntrain.optim import schedule
from cnntrain.optim.warmup import Schedule, half_cosine


@schedule("cosine_restarts")
def cosine_restarts(
    *,
    first_epochs: PositiveFloat,
    times: Positive = 1,
    floor: BelowOne = 0.0,
    steps_per_epoch: int,
) -> Schedule:
    """Half a cosine down to the floor, then from the top again.

    `floor + (1 - floor) (1 + cos(pi t)) / 2`, where t is the share of the course that is done.
    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017, equation 5.

    Args:
        first_epochs: Epochs of the first course.
        times: How many times as long as the one before each course is.
        floor: Factor at the end of each course.
    """

    def factor(done: int) -> float:
        length, since = first_epochs * steps_per_epoch, float(done)
        if times == 1:
            since %= length
        while since >= length:
            since -= length
            length *= times
        return half_cosine(1.0, floor, since / length)

    return factor
