"""Up and down again."""

from __future__ import annotations

from cnntrain.core.kinds import BelowOne, OpenFraction
from cnntrain.optim import schedule
from cnntrain.optim.warmup import Schedule, half_cosine


@schedule("one_cycle")
def one_cycle(
    *,
    rise: OpenFraction = 0.3,
    start: OpenFraction = 0.04,
    floor: BelowOne = 4e-6,
    total_steps: int,
) -> Schedule:
    """Half a cosine up to the learning rate, and half a cosine down to the floor.

    Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning
    Rates", 2019; the shape is that of torch's OneCycleLR, the momentum stays.

    Args:
        rise: Share of the steps in which it rises.
        start: Factor at the first step.
        floor: Factor at the last step.
    """
    top = max(rise * total_steps - 1, 0.0)
    rest = total_steps - 1 - top

    def factor(done: int) -> float:
        if done < top:
            return half_cosine(start, 1.0, done / top)
        return half_cosine(1.0, floor, min((done - top) / rest, 1.0) if rest > 0 else 0.0)

    return factor
