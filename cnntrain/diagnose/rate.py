"""Check `rate`: which learning rate, found in two ways, and how far the run's is from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.figure import Figure
from torch import nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose.drawing import SIZE
from cnntrain.diagnose.modes import steady_copy
from cnntrain.diagnose.report import Cell, Finding, Picture, Report, Table
from cnntrain.diagnose.training import Method, chance_loss, train_briefly

NAME = "rate"

RANGE = (1e-6, 10.0)
"""Rates between which the range test looks."""

LEARNS = 0.95
"""Share of the loss of guessing below which training has begun."""

MOST_TRIALS = 20
SLOW, FAR_BELOW = 0.1, 32.0
"""A rate is too low where it makes less than this progress, and is this many times too low."""

HALF, BELOW = 0.5, 10.0
"""It also is, if it makes less than this progress, is this many times too low, and the whole run
goes no further than a trial."""

POOR, FAR_ABOVE = 0.3, 8.0
"""A rate is too high where no higher one learns, it makes less than this progress, and is this many
times too high."""

BEYOND = 4.0
"""It also is, if it makes no progress, and is this many times the largest rate that does."""


@dataclass(frozen=True)
class Trial:
    """Steps at one rate; `end` is the mean loss of their last quarter, infinite if diverged."""

    rate: float
    end: float


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


def check_rate(
    net: nn.Module,
    *,
    batches: Sequence[Batch],
    method: Method,
    classes: int,
    steps: int = 80,
    warmup: int = 0,
    run_steps: float = math.inf,
    seed: int = 0,
) -> Report:
    """Start large and divide by two until the loss no longer diverges; beside it the range test.

    The halving is Ranzato's advice ("Large-Scale Visual Recognition With Deep Learning", CVPR 2013
    tutorial); the range test is Smith, "Cyclical Learning Rates for Training Neural Networks",
    2017, section 3.3. Every trial starts from the same weights and takes the same batches.

    Args:
        net: the network; it is not changed.
        batches: of training images.
        method: how the run trains; the rates tried are its own times powers of two.
        classes: how many there are.
        steps: of each trial.
        warmup: steps over which the rate rises, as far as the run has such.
        run_steps: of the whole run, each counted with its share of the full rate.
        seed: of dropout.
    """
    start, ends = (
        steady_copy(net),
        _Ends(net, batches, method, steps, min(warmup, steps // 4), seed),
    )
    tested = range_test(start, batches, method=method, steps=steps)
    chance = chance_loss(method.criterion, batches[0].targets, classes=classes)
    own = method.recipe.lr
    trials = _halve(ends, own=own, edge=tested.edge, enough=LEARNS * chance)
    best = min(trials, key=lambda trial: trial.end)
    gained = chance - best.end
    learning = [trial for trial in trials if trial.end < LEARNS * chance]
    if not learning:
        headline = f"in {steps} steps no rate brings the loss below that of guessing, {chance:.3g}"
        return _report(headline, [], trials, tested, own=own, suggested=None)
    progress = {trial.rate: (chance - trial.end) / gained for trial in trials}
    edge = max(trial.rate for trial in learning)
    finding = _too_high(progress[own], own=own, best=best.rate, edge=edge, steps=steps)
    if finding is None:
        reach = run_steps * own / best.rate
        finding = _too_low(progress[own], own=own, best=best.rate, reach=reach, steps=steps)
    headline = f"{best.rate:.2g} is a good rate, yours is {own:.2g}"
    if finding is not None:
        headline = finding.headline
    findings = [] if finding is None else [finding]
    return _report(headline, findings, trials, tested, own=own, suggested=best.rate)


@dataclass(frozen=True)
class _Ends:
    """Where the loss is after some steps at a rate."""

    net: nn.Module
    batches: Sequence[Batch]
    method: Method
    steps: int
    warmup: int
    seed: int

    def at(self, rate: float) -> Trial:
        def warmed(step: int) -> float:
            return rate * min(1.0, (step + 1) / (self.warmup + 1))

        course = train_briefly(
            steady_copy(self.net),
            self.batches,
            method=self.method,
            steps=self.steps,
            rate=warmed,
            seed=self.seed,
        )
        return Trial(rate, course.end)


def _halve(ends: _Ends, *, own: float, edge: float, enough: float) -> list[Trial]:
    """From four times the range test's edge down, until three rates in a row are worse.

    The rates are the run's own times powers of two, and its own is among them.
    """
    trials = [ends.at(own)]
    rate = own * 2.0 ** math.ceil(math.log2(4 * edge / own))
    while len(trials) < MOST_TRIALS:
        trials.append(trials[0] if rate == own else ends.at(rate))
        best = min(trials, key=lambda trial: trial.end)
        below = [t for t in trials if t.rate < best.rate and t.rate != own]
        if best.end < enough and len(below) >= 3:
            break
        if rate < RANGE[0]:
            break
        rate /= 2
    return sorted(set(trials), key=lambda trial: -trial.rate)


def range_test(
    net: nn.Module, batches: Sequence[Batch], *, method: Method, steps: int
) -> RangeTest:
    """Raise the rate exponentially, a factor in each step, until the loss explodes.

    Args:
        net: it is changed: give a copy.
        batches: taken in turn.
        method: how the run trains.
        steps: from the lowest rate to the highest.
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


def _too_high(share: float, *, own: float, best: float, edge: float, steps: int) -> Finding | None:
    is_beyond = share <= 0 and own / edge >= BEYOND
    is_at_the_edge = share < POOR and own / best >= FAR_ABOVE and own >= edge
    if not is_beyond and not is_at_the_edge:
        return None
    how = f"makes {share:.0%} of the progress that {best:.2g} makes"
    if share <= 0:
        how = "makes no progress: the loss diverges, or stays at guessing"
    return Finding(
        "rate_too_high",
        f"your rate {own:.2g} is about {_times(own / best)} times too high",
        f"in {steps} steps it {how}; the largest rate that learns is {edge:.2g}",
        f"set train.optimizer.lr to about {best:.2g}",
    )


def _too_low(share: float, *, own: float, best: float, reach: float, steps: int) -> Finding | None:
    """`reach` is how many steps at the best rate go as far as the whole run at its own."""
    factor = best / own
    is_short = share < HALF and factor >= BELOW and reach < steps
    if not is_short and not (share < SLOW and factor >= FAR_BELOW):
        return None
    share = max(share, 0)
    evidence = f"in {steps} steps it makes {share:.0%} of the progress that {best:.2g} makes"
    if is_short:
        evidence += f"; the whole run goes as far as {reach:.0f} steps at {best:.2g}"
    return Finding(
        "rate_too_low",
        f"your rate {own:.2g} is about {_times(factor)} times too low",
        evidence,
        f"set train.optimizer.lr to about {best:.2g}",
    )


def _times(factor: float) -> str:
    """One digit: 47 is `50`."""
    return f"{float(f'{factor:.1g}'):.0f}"


def _report(
    headline: str,
    findings: Sequence[Finding],
    trials: Sequence[Trial],
    tested: RangeTest,
    *,
    own: float,
    suggested: float | None,
) -> Report:
    rows: list[tuple[Cell, ...]] = [
        (
            trial.rate,
            trial.end if math.isfinite(trial.end) else "diverges",
            "yours" if trial.rate == own else "suggested" if trial.rate == suggested else "",
        )
        for trial in trials
    ]
    return Report(
        NAME,
        headline,
        tuple(findings),
        numbers={
            "rate": own,
            "suggested": suggested,
            "range_test_steepest": tested.steepest,
            "range_test_edge": tested.edge,
        },
        tables=(Table("loss after some steps at each rate", ("rate", "loss", ""), tuple(rows)),),
        pictures=(Picture("the rate against the loss", _draw(trials, tested, own=own)),),
    )


def _draw(trials: Sequence[Trial], tested: RangeTest, *, own: float) -> Figure:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    finite = [trial for trial in trials if math.isfinite(trial.end)]
    axes.plot([t.rate for t in finite], [t.end for t in finite], "o-", label="after some steps")
    axes.plot(tested.rates, tested.losses, color="0.5", label="range test, one step a rate")
    axes.axvline(own, color="tab:red", linestyle="--", label="yours")
    axes.set_xscale("log")
    top = 2 * max([t.end for t in finite] + [tested.losses[0]]) if finite else tested.losses[0] * 2
    axes.set_ylim(0, min(top, 4 * tested.losses[0]))
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss")
    axes.legend()
    return figure
