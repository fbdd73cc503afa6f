"""Rates tried for the check `rate`: some steps at one rate each, and Smith's range test."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose.training import Method, train_briefly

RANGE = (1e-6, 10.0)
"""Rates between which the range test looks."""

MOST_TRIALS = 19
"""Besides the one at the run's own rate."""

GOOD = 0.9
"""Rates are as good as the best one where they make this share of its progress."""

WORSE = 2
"""So many rates in a row that are not as good end the search."""


@dataclass(frozen=True)
class RangeTest:
    """Losses while the rate grows exponentially from step to step; `steepest` and `edge` are rates.

    `losses` are smoothed. At `edge` the smoothed loss, after its minimum, is back at the first one,
    or at twice the minimum.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    steepest: float
    edge: float


def halved(
    attempt: Callable[[float], float], *, own: float, edge: float, chance: float, enough: float
) -> dict[float, float]:
    """From four times the range test's edge down, until several rates in a row are worse.

    The rates are the run's own times powers of two, and its own is among them.

    Args:
        attempt: the mean loss of the last steps at a rate; infinite if they diverge.
        own: the run's rate.
        edge: of the range test.
        chance: the loss of guessing.
        enough: the loss below which training has begun.

    Returns:
        What `attempt` gave for each rate, the largest rate first.
    """
    ends = {own: attempt(own)}
    rate, worse = own * 2.0 ** math.ceil(math.log2(4 * edge / own)), 0
    for _ in range(MOST_TRIALS):
        if worse == WORSE or rate < RANGE[0] / 2:
            break
        if rate not in ends:
            ends[rate] = attempt(rate)
        best = min(ends, key=lambda each: ends[each])
        is_good = ends[rate] <= chance - GOOD * (chance - ends[best])
        is_below = rate < best and ends[best] < enough
        worse = worse + 1 if is_below and not is_good else 0
        rate /= 2
    return dict(sorted(ends.items(), reverse=True))


def range_test(
    net: nn.Module, batches: Sequence[Batch], *, method: Method, steps: int
) -> RangeTest:
    """Raise the rate exponentially, a factor in each step, until the loss explodes.

    The network is changed: give a copy. From the lowest rate to the highest are `steps` steps.
    """
    low, high = RANGE
    factor = (high / low) ** (1 / max(1, steps - 1))
    course = train_briefly(
        net, batches, method=method, steps=steps, rate=lambda step: low * factor**step
    )
    finite = [loss for loss in course.losses if math.isfinite(loss)]
    rates = tuple(low * factor**step for step in range(len(finite)))
    losses = _smoothed(finite)
    at_least = losses.index(min(losses))
    left = min(losses[0], 2 * losses[at_least])
    beyond = (i for i in range(at_least + 1, len(losses)) if losses[i] >= left)
    edge = rates[next(beyond, len(rates) - 1)]
    falls = [after - before for before, after in pairwise(losses[: at_least + 1])]
    steepest = rates[falls.index(min(falls)) + 1] if falls else rates[0]
    return RangeTest(rates, losses, steepest, edge)


def _smoothed(losses: Sequence[float], share: float = 0.8) -> tuple[float, ...]:
    """Exponential moving mean without the bias of its start (as in Adam)."""
    mean, result = 0.0, []
    for count, loss in enumerate(losses, start=1):
        mean = share * mean + (1 - share) * loss
        result.append(mean / (1 - share**count))
    return tuple(result)
