"""Learning rates tried on copies of a network: some steps at one each, and Smith's range test."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import torch
from torch import nn

from cnntrain.data.batch import Batch
from cnntrain.train.briefly import Method, chance_loss, steady_copy, train_briefly

RANGE = (1e-6, 10.0)
"""Rates between which the range test looks."""

MOST_TRIALS = 19
"""Besides the one at the run's own rate."""

LEARNS = 0.95
"""Share of the loss of guessing below which training has begun."""

GOOD = 0.9
"""Rates are as good as the best one where they make this share of its progress."""

WORSE = 2
"""So many rates in a row that are not as good end the search, if the last one is the worst of them.
Near the edge some rate does well by chance; then the loss falls again below it."""


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


@dataclass(frozen=True)
class TriedRates:
    """What came of each learning rate that was tried.

    Args:
        ends: the mean loss of a trial's last steps, the largest rate first.
        own: the rate that one was sure to try.
        chance: the loss of guessing.
        tested: the range test.
    """

    ends: Mapping[float, float]
    own: float
    chance: float
    tested: RangeTest

    @property
    def learning(self) -> list[float]:
        """The rates at which training began, the largest first."""
        return [rate for rate, end in self.ends.items() if end < LEARNS * self.chance]

    @property
    def progress(self) -> dict[float, float]:
        """Of each rate, as a share of the best one's; one or more must learn."""
        gained = self.chance - min(self.ends.values())
        return {rate: (self.chance - end) / gained for rate, end in self.ends.items()}

    @property
    def good(self) -> list[float]:
        """The rates around the best one that are as good, largest first; around its own if it is.

        One or more must learn.
        """
        progress = self.progress
        is_good = progress[self.own] >= GOOD
        first = self.own if is_good else max(progress, key=lambda rate: progress[rate])
        runs = [list(run) for _, run in groupby(progress, key=lambda rate: progress[rate] >= GOOD)]
        return next(run for run in runs if first in run)


def middle(good: Sequence[float]) -> float:
    """The one of the good rates to take: the larger one of two."""
    return good[(len(good) - 1) // 2]


def try_rates(
    net: nn.Module,
    batches: Sequence[Batch],
    *,
    method: Method,
    own: float,
    chance: Callable[[Sequence[Batch]], float],
    steps: int,
    warmup: int = 0,
    seed: int = 0,
) -> TriedRates:
    """Start large and divide by two until the loss no longer diverges; next to it, the range test.

    The halving is Ranzato's advice ("Large-Scale Visual Recognition With Deep Learning", CVPR 2013
    tutorial); the range test is Smith, "Cyclical Learning Rates for Training Neural Networks",
    2017, section 3.3. Every trial starts from the same weights and takes the same batches.

    Args:
        net: the network; it is not changed.
        batches: of training images, as many as a trial has steps or fewer.
        method: how to train.
        own: a rate that is tried in any case; the others are it times powers of two.
        chance: the loss of guessing on the batches of a trial's last quarter.
        steps: of each trial.
        warmup: steps over which the rate rises, as far as the run has such.
        seed: of the random numbers.
    """

    def attempt(rate: float) -> float:
        return _trial(net, batches, rate, method=method, steps=steps, warmup=warmup, seed=seed)

    tested = range_test(steady_copy(net), batches, method=method, steps=steps)
    last = range(steps - max(1, steps // 4), steps)
    lost = chance([batches[step % len(batches)] for step in last])
    ends = halved(attempt, own=own, edge=tested.edge, chance=lost, enough=LEARNS * lost)
    return TriedRates(ends, own, lost, tested)


def progress_again(
    tried: TriedRates,
    net: nn.Module,
    batches: Sequence[Batch],
    *,
    method: Method,
    steps: int,
    warmup: int = 0,
    seed: int = 0,
) -> float:
    """The progress of the run's own rate with the batches in the opposite order.

    It is a share of that of the good rate to take, tried in the same order. One or more must learn;
    for the other arguments see `try_rates`.
    """
    other = batches[::-1]
    own, good = (
        tried.chance
        - _trial(net, other, rate, method=method, steps=steps, warmup=warmup, seed=seed)
        for rate in (tried.own, middle(tried.good))
    )
    return own / good if good > 0 else 1.0


def _trial(
    net: nn.Module,
    batches: Sequence[Batch],
    rate: float,
    *,
    method: Method,
    steps: int,
    warmup: int,
    seed: int,
) -> float:
    """The mean loss of the last steps at a rate; infinite if they diverge."""
    course = train_briefly(
        steady_copy(net), batches, method=method, steps=steps, seed=seed,
        rate=lambda step: rate * min(1.0, (step + 1) / (min(warmup, steps // 4) + 1)),
    )  # fmt: skip
    return course.end


def guessing(
    batches: Sequence[Batch], *, method: Method, classes: int, outputs: Sequence[int] = ()
) -> float:
    """The loss of guessing classes of images: see `chance_loss`."""
    targets = torch.cat([batch.targets for batch in batches])
    return chance_loss(method.criterion, targets, classes=classes, outputs=outputs)


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
        is_past = worse >= WORSE and ends[2 * rate] >= ends[4 * rate]
        if is_past or rate < RANGE[0] / 2:
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
    if not finite:  # at no rate is there anything to be seen
        return RangeTest((low,), (math.inf,), low, low)
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
