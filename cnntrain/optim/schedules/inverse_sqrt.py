"""One over the root of the steps."""

from __future__ import annotations

import math

from cnntrain.core.kinds import PositiveFloat
from cnntrain.optim import schedule
from cnntrain.optim.warmup import Schedule


@schedule("inverse_sqrt")
def inverse_sqrt(
    *, scale_epochs: PositiveFloat | None = None, steps_per_epoch: int, warmup_steps: int = 0
) -> Schedule:
    """Falls as one over the root of the steps: `sqrt(s / (s + t))`, t after the warm-up.

    Vaswani et al., "Attention Is All You Need", 2017, equation 3: there s is the warm-up, so that
    the factor is `sqrt(s / steps of the run)`.

    Args:
        scale_epochs: s in epochs, until the rate has fallen to 71 %; null: the length of the
            warm-up, or one epoch without one.
    """
    steps = warmup_steps or steps_per_epoch
    scale = steps if scale_epochs is None else scale_epochs * steps_per_epoch
    return lambda done: math.sqrt(scale / (scale + done))
