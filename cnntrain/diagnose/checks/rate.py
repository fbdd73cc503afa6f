"""Check `rate`: which learning rate, found in two ways, and how far the run's is from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import nn
from torch.optim import Optimizer

from cnntrain.data.batch import Batch
from cnntrain.diagnose import check
from cnntrain.diagnose.drawing import SIZE
from cnntrain.diagnose.faults import DAMPED, TOO_LARGE
from cnntrain.diagnose.modules import logits_of
from cnntrain.diagnose.report import Finding, Plot, Report, Table
from cnntrain.train.briefly import Method, steady_copy, train_briefly
from cnntrain.train.rate_search import (
    RangeTest,
    TriedRates,
    guessing,
    middle,
    progress_again,
    try_rates,
)

SLOW, FAR_BELOW = 0.1, 16.0
"""A rate is too low where it makes less than this progress, and the lowest good one is this many
times as high."""

HALF, BELOW = 0.5, 5.0
"""It also is, if it makes less than this progress, the lowest good one is this many times as high,
and at that pace the whole run makes less than the best rate in a trial."""

POOR, FAR_ABOVE = 0.3, 4.0
"""A rate is too high where no higher one makes half of the progress, it makes less than this, and
it is this many times the highest good one."""

BEYOND = 4.0
"""It also is, if it makes no progress, and is this many times the largest rate that does; if it is
less above that one, it is a suspicion."""

LONG, USUAL = 0.97, 0.9
"""A momentum that may be the cause of steps that are too long, and the one to take then."""

SHORT_LIVED, EPOCHS = 8.0, 1.5
"""A schedule takes the rate away too early, if the run has this many times the steps that it goes
as far as, at the full rate, and these are less than a trial, or than these epochs."""

NOT_THE_RATE = ("random_evaluation", "eval_mode_batch_norm", "frozen_layer", "detached_layer")
"""Because of these a network learns badly at any rate, and better at an odd one."""


@check("rate", place=8)
def check_rate(
    *,
    net: nn.Module,
    batches: Sequence[Batch],
    bare: Method,
    classes: int,
    steps: int = 80,
    warmup: int = 0,
    shares: Sequence[float] = (),
    seed: int = 0,
) -> Report:
    """Try rates with `cnntrain.train.rate_search`, and judge the run's by them.

    Args:
        net: the network; it is not changed.
        batches: of training images.
        bare: how the run trains, without what holds the weights back; the rates
            tried are its own times powers of two.
        classes: how many there are.
        steps: of each trial.
        warmup: steps over which the rate rises, as far as the run has such.
        shares: the share of the full rate that each step of the run has; none if not known.
        seed: seed of the random numbers of this check.
    """
    outputs = logits_of(steady_copy(net), batches[:1])[0].shape[1:]
    chance = partial(guessing, method=bare, classes=classes, outputs=outputs)
    trials: dict[str, Any] = {"method": bare, "steps": steps, "warmup": warmup, "seed": seed}
    tried = try_rates(net, batches[:steps], own=bare.recipe.lr, chance=chance, **trials)
    ends, own, learning = tried.ends, tried.own, tried.learning
    headline = (
        f"no verdict on your learning rate: in {steps} steps no rate from {min(ends):.2g} to "
        f"{max(ends):.2g} brings the loss below that of guessing, {tried.chance:.3g}"
    )
    finding, suggested = None, None
    if learning:
        progress, good = tried.progress, tried.good
        suggested = own if own in good else middle(good)
        whole = sum(shares) if shares else math.inf
        too_high, too_low = (
            partial(find, steps=steps, scale=bare.recipe.lr_scale) for find in (_too_high, _too_low)
        )
        high = too_high(progress, own=own, good=good, edge=max(learning))
        if high is not None and progress[own] > 0:  # once more: it may be those batches
            again = progress_again(tried, net, batches[:steps], **trials)
            high = high if (progress[own] + again) / 2 < POOR else None
        if high is not None:
            high = _with_usual_momentum(
                high, net, batches, bare=bare, tried=tried, steps=steps, seed=seed
            )
        finding = (
            high
            or too_low(progress[own], own=own, good=good, trials=whole / steps)
            or _falls_early(whole, run=len(shares), epochs=bare.recipe.epochs, steps=steps)
        )
        headline = _headline(progress[own], own=own, good=good, steps=steps)
    return Report(
        "rate",
        headline if finding is None else finding.headline,
        () if finding is None else (finding,),
        numbers={
            "rate": own,
            "suggested": suggested,
            "range_test_steepest": tried.tested.steepest,
            "range_test_edge": tried.tested.edge,
        },
        tables=(_table(ends, own=own, suggested=suggested),),
        pictures=(Plot("the rate against the loss", _draw(ends, tried.tested, own=own)),),
        applies=bool(learning),
    )


def _headline(share: float, *, own: float, good: Sequence[float], steps: int) -> str:
    made = f"makes {max(0.0, share):.0%} of the best one's progress in {steps} steps"
    if own in good:
        return f"yours is a good rate: {own:.2g} {made}"
    best = (
        f"rates are {good[-1]:.2g} to {good[0]:.2g}" if len(good) > 1 else f"rate is {good[0]:.2g}"
    )
    return f"the best {best}; yours, {own:.2g}, {made}"


def _too_high(
    progress: Mapping[float, float],
    *,
    own: float,
    good: Sequence[float],
    edge: float,
    steps: int,
    scale: float,
) -> Finding | None:
    """`good` are the good rates, `edge` is the largest that learns.

    `scale` is what the run file's rate is multiplied by (`train.lr_scaling`).
    """
    share, best_above = progress[own], max(made for rate, made in progress.items() if rate >= own)
    is_beyond = share <= 0 and own > edge
    is_at_the_edge = share < POOR and own / good[0] >= FAR_ABOVE and best_above < HALF
    if not is_beyond and not is_at_the_edge:
        return None
    how = f"makes {share:.0%} of the progress that {middle(good):.2g} makes"
    if share <= 0:
        how = "makes no progress: the loss diverges, or stays at guessing"
    return Finding(
        "rate_too_high",
        f"your rate {own:.2g} is about {_times(own / good[0])} times too high",
        f"in {steps} steps it {how}; the largest rate that learns is {edge:.2g}",
        f"set train.optimizer.lr to about {middle(good) / scale:.2g}",
        is_certain=is_at_the_edge or own / edge >= BEYOND,
        follows=("wrong_gradient", "momentum_too_long", *NOT_THE_RATE, *TOO_LARGE),
        overrides=(f"train.optimizer.lr={middle(good) / scale:.2g}",),
    )


def _velocity(net: nn.Module, bare: Method) -> float:
    """The momentum of SGD; 0 for others, whose steps are as long with any."""
    optimizer = bare.make_optimizer(steady_copy(net))
    is_sgd = isinstance(optimizer, torch.optim.SGD)
    return float(optimizer.defaults["momentum"]) if is_sgd else 0.0


def _with_usual_momentum(
    found: Finding,
    net: nn.Module,
    batches: Sequence[Batch],
    *,
    bare: Method,
    tried: TriedRates,
    steps: int,
    seed: int,
) -> Finding:
    """Where momentum makes the steps too long: a usual one, and the highest rate that suits it."""
    momentum = _velocity(net, bare)
    if momentum < LONG:
        return found

    def make(moving: nn.Module) -> Optimizer:
        optimizer = bare.make_optimizer(moving)
        for group in optimizer.param_groups:
            group["momentum"] = USUAL
        return optimizer

    def learns(rate: float) -> bool:
        how = replace(bare, make_optimizer=make)
        moving = steady_copy(net)
        course = train_briefly(
            moving, batches[:steps], method=how, steps=steps, rate=lambda _: rate, seed=seed
        )
        return tried.chance - course.end > HALF * (tried.chance - min(tried.ends.values()))

    own = best = tried.own
    while best > tried.good[0] and not learns(best):
        best /= FAR_ABOVE
    if best <= tried.good[0]:  # a rate that suits the momentum, too
        return found
    overrides: tuple[str, ...] = (f"train.optimizer.momentum={USUAL}",)
    remedy = f"set train.optimizer.momentum to {USUAL}"
    if best < own:
        best /= bare.recipe.lr_scale
        overrides = (*overrides, f"train.optimizer.lr={best:.2g}")
        return replace(found, remedy=f"{remedy}, and the rate to {best:.2g}", overrides=overrides)
    return replace(
        found,
        fault="momentum_too_long",
        headline=f"with a momentum of {momentum:g} your rate {own:.2g} is about "
        f"{_times(own / tried.good[0])} times too high",
        remedy=f"{remedy}: with it the rate is a good one",
        follows=("wrong_gradient", *NOT_THE_RATE, *TOO_LARGE),
        overrides=overrides,
    )


def _too_low(
    share: float, *, own: float, good: Sequence[float], trials: float, steps: int, scale: float
) -> Finding | None:
    """`trials` is how many times as far as a trial the whole run goes."""
    factor, share = good[-1] / own, max(share, 0.0)
    is_short = share < HALF and factor >= BELOW and share * trials < 1
    if not is_short and not (share < SLOW and factor >= FAR_BELOW):
        return None
    best = middle(good)
    evidence = f"in {steps} steps it makes {share:.0%} of the progress that {best:.2g} makes"
    if is_short:
        evidence += f"; at that pace the whole run makes {share * trials:.0%} of it"
    return Finding(
        "rate_too_low",
        f"your rate {own:.2g} is about {_times(factor)} times too low",
        evidence,
        f"set train.optimizer.lr to about {best / scale:.2g}",
        follows=(*DAMPED, "stale_batch_norm", "clipped_to_nothing", *NOT_THE_RATE),
        overrides=(f"train.optimizer.lr={best / scale:.2g}",),
    )


def _falls_early(whole: float, *, run: int, epochs: int, steps: int) -> Finding | None:
    """`whole` is how many steps at the full rate go as far as all `run` steps."""
    done = whole / max(1, run) * epochs
    if whole * SHORT_LIVED > run or not (whole < steps or done < EPOCHS):
        return None
    return Finding(
        "rate_falls_early",
        f"the schedule takes the rate away after about {done:.1f} of {epochs} epochs",
        f"all {run} steps together go as far as {whole:.0f} steps at the full rate would",
        "let train.schedule fall later, or less: `cosine`, or a factor of 0.1 after half of the "
        "epochs",
        is_certain=whole < steps,
    )


def _times(factor: float) -> str:
    """One digit: 47 is `50`, 1.47 is `1.5`."""
    return f"{factor:.2g}" if factor < 2 else f"{float(f'{factor:.1g}'):.0f}"


def _table(ends: Mapping[float, float], *, own: float, suggested: float | None) -> Table:
    marks = {suggested: "suggested", own: "yours"}
    rows = tuple(
        (rate, end if math.isfinite(end) else "diverges", marks.get(rate, ""))
        for rate, end in ends.items()
    )
    return Table("loss after some steps at each rate", ("rate", "loss", ""), rows)


def _draw(ends: Mapping[float, float], tested: RangeTest, *, own: float) -> Figure:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    finite = {rate: end for rate, end in ends.items() if math.isfinite(end)}
    axes.plot(list(finite), list(finite.values()), "o-", label="after some steps")
    axes.plot(tested.rates, tested.losses, color="0.5", label="range test, one step a rate")
    axes.axvline(own, color="tab:red", linestyle="--", label="yours")
    axes.set_xscale("log")
    start = tested.losses[0]
    if math.isfinite(start):
        axes.set_ylim(0, min(2 * max([start, *finite.values()]), 4 * start) or 1.0)
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss")
    axes.legend()
    return figure
