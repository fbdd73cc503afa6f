"""The recipe by arithmetic: what takes how long, compared with the steps of the training.

What some right recipe has is no remark, or a suspicion. The average of the weights (`train.ema`)
has no rule: its own warm-up forgets the initial weights in some ten steps, and keeps it to about
the last tenth of the steps, however long its horizon.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from cnntrain.arch.plan import Plan, PlannedNode
from cnntrain.assemble.arch_edits import with_parameter
from cnntrain.assemble.make_parts import make_recipe
from cnntrain.config.loaded import Loaded
from cnntrain.core.remark import Remark, at_line
from cnntrain.show.words import counted as count_of

LEFT, MUCH_LEFT = 0.02, 0.1
"""Of the statistics that batch normalisation starts with, at the end: for a suspicion, a fault.
`(1 - momentum) ** steps`, by the recursion of Ioffe and Szegedy 2015, section 3.1."""

USUAL = 0.1
"""Momentum of batch normalisation with which only a few steps are too few."""

LATE, VERY_LATE = 0.35, 0.5
"""Share of the steps after which the rate first reaches 0.9 of its top. Usual warm-ups take 5 % of
the training (Goyal et al. 2017, section 2.2), a cycle rises for 30 % (Smith and Topin 2019)."""

EARLY, VERY_EARLY = 0.25, 0.15
"""Share of the steps with more than a hundredth of the top rate; a cosine has 94 %."""

FEW, VERY_FEW, ENOUGH = 100, 30, 1000
"""Steps of a training from random weights: for a suspicion, a fault, and proposed ones."""

LONG, PART = 0.97, 20
"""A momentum from which on it is compared with the steps, and how many times as many there should
be as it remembers, `1 / (1 - momentum)`."""

LARGE_DELTA, PATIENT = 0.05, 0.1
"""Of `early_stop.min_delta`, a fraction of all images; patience in shares of all epochs."""

SHORT = 0.9
"""A momentum of batch normalisation from which on its average is the last batch."""


@dataclass(frozen=True)
class TrainImages:
    """What the images say: how many train, steps in an epoch, and images of each class."""

    images: int
    steps: int
    counts: tuple[int, ...] = ()


UNKNOWN = 10_000
"""Steps of an epoch, before images are counted: so many that only the worst is remarked on."""


def horizons(loaded: Loaded, plan: Plan, counted: TrainImages | None = None) -> list[Remark]:
    """All remarks on how long things take; `counted` is None before the images are there."""
    steps = UNKNOWN if counted is None else counted.steps
    return [
        *_running_statistics(loaded, plan, steps=steps * loaded.train.epochs),
        *_momentum(loaded, steps=steps * loaded.train.epochs),
        *_schedule(loaded, steps=min(steps, 200)),  # shares are enough
        *(_few_steps(loaded, counted) if counted is not None else ()),
        *_early_stop(loaded),
    ]


def _running_statistics(loaded: Loaded, plan: Plan, *, steps: int) -> Iterator[Remark]:
    """Batch normalisation that averages for longer than the training, or not at all."""
    norms = {
        name: (node, float(node.keywords["momentum"]))
        for name, node in plan.walk()
        if node.node.operation == "batch_norm" and node.keywords["momentum"] is not None
    }
    starts_right = loaded.config.finetune is not None  # with statistics of what was learnt before
    if not norms or loaded.train.recalibrate or starts_right:
        return
    name, (node, momentum) = min(norms.items(), key=lambda norm: norm[1][1])
    left = (1 - momentum) ** steps
    if left > LEFT and momentum < USUAL:
        slow = {each.node.path: each.node for each, pace in norms.values() if pace == momentum}
        horizon = f"about {1 / momentum:,.0f} steps" if momentum else "no step at all"
        yield Remark(
            "stale_batch_norm",
            f"when training ends the running statistics of '{name}'{_place(node)} are still "
            f"{left:.0%} what they started with",
            f"a momentum of {momentum:g} averages over {horizon}, and there are {steps:,}",
            "set the momentum of batch_norm to 0.1; `cnntrain recalibrate` mends a trained run",
            is_certain=left > MUCH_LEFT,
            overrides=sum((with_parameter(each, "momentum", 0.1) for each in slow.values()), ()),
        )
    name, (node, momentum) = max(norms.items(), key=lambda norm: norm[1][1])
    short = {each.node.path: each.node for each, pace in norms.values() if pace >= SHORT}
    if short:
        yield Remark(
            "averages_too_short",
            f"the running statistics of '{name}'{_place(node)} are those of the last batch",
            f"its momentum is {momentum:g}, which is what the newest batch weighs; some libraries "
            "call one minus that momentum",
            "set the momentum of batch_norm to 0.1 or less",
            is_certain=False,
            overrides=sum((with_parameter(each, "momentum", 0.1) for each in short.values()), ()),
        )


def _place(node: PlannedNode) -> str:
    return at_line(node.node.problem("", "").place)


def _momentum(loaded: Loaded, *, steps: int) -> Iterator[Remark]:
    """A velocity that outlives its gradients: the step is lr / (1 - momentum) times their mean."""
    optimizer = loaded.train.optimizer
    own = optimizer.parameters
    betas = own.get("betas") if optimizer.name != "muon" else None
    momentum = float(betas[0] if betas else own.get("momentum", 0.0))
    if betas and betas[0] ** 2 >= math.sqrt(betas[1]):
        yield Remark(
            "momentum_too_long",
            f"the betas {betas[0]:g} and {betas[1]:g} do not suit each other",
            f"beta1^2 / sqrt(beta2) is {betas[0] ** 2 / math.sqrt(betas[1]):.2f}; Adam converges "
            "below 1 (Kingma and Ba 2015, theorem 4.1); beta1 is the smaller one",
            "leave betas out: 0.9 and 0.999 are usual",
            overrides=("train.optimizer.betas=[0.9, 0.999]",),
        )
    elif momentum >= LONG and steps * (1 - momentum) < PART:
        key, value = ("betas", "[0.9, 0.999]") if betas else ("momentum", "0.9")
        remembers = "no end of" if momentum == 1 else f"{1 / (1 - momentum):,.0f}"
        yield Remark(
            "momentum_too_long",
            f"a momentum of {momentum:g} remembers {remembers} steps, of {steps:,} in all",
            f"each gradient is followed for so long, and the rate is in effect "
            f"{1 / (1 - momentum):,.0f} times {optimizer.rate:g}",
            f"set train.optimizer.{key} to {value}",
            overrides=(f"train.optimizer.{key}={value}",),
        )


def _schedule(loaded: Loaded, *, steps: int) -> Iterator[Remark]:
    """When the rate reaches its top, and how long it is worth anything."""
    train, recipe = loaded.train, make_recipe(loaded, steps_per_epoch=steps)
    shares = [recipe.schedule(step) for step in range(train.epochs * steps)]
    top = max(shares)
    late = next(i for i, share in enumerate(shares) if share >= 0.9 * top) / len(shares)
    useful = sum(share > 0.0101 * top for share in shares) / len(shares)
    name = train.schedule.name
    if late > LATE:
        warmup = f"{0.05 * train.epochs:.2g}"
        yield Remark(
            "rate_rises_late",
            f"the learning rate rises for {late:.0%} of the training",
            f"of {train.epochs} epochs {late * train.epochs:.2g} are over before it reaches 0.9 of "
            "its top",
            f"set train.schedule.warmup_epochs to {warmup}"
            if train.schedule.warmup_epochs
            else "set train.schedule.rise to 0.3",
            is_certain=late > VERY_LATE,
            overrides=(f"train.schedule.warmup_epochs={warmup}",)
            if train.schedule.warmup_epochs
            else ("train.schedule.rise=0.3",),
        )
    elif useful < EARLY:
        yield Remark(
            "rate_falls_early",
            f"the schedule takes the learning rate away after {useful:.0%} of the training",
            f"in the other {1 - useful:.0%} of {train.epochs} epochs it is at most a hundredth of "
            "its top",
            "let train.schedule fall later, or less: `cosine` falls to the end",
            is_certain=useful < VERY_EARLY,
            overrides=("train.schedule={name: cosine}",),
        )
    elif name == "cosine_restarts" and shares[-1] > 0.5 * top:
        yield Remark(
            "rate_ends_high",
            f"training ends in the middle of a course, at {shares[-1] / top:.0%} of the top rate",
            f"the first course has {train.schedule.parameters['first_epochs']:g} epochs, and there "
            f"are {train.epochs}",
            "let the last course end with the training",
            is_certain=False,
            overrides=("train.schedule={name: cosine}",),
        )


def _few_steps(loaded: Loaded, counted: TrainImages) -> Iterator[Remark]:
    """So few steps that random weights stay random."""
    epochs, batch = loaded.train.epochs, loaded.config.data.batch
    steps = epochs * counted.steps
    if steps >= FEW or loaded.config.finetune is not None:
        return
    size = min(batch, 2 ** max(3, min(6, round(math.log2(max(8, counted.images / 20))))))
    size = size if counted.steps < 10 else batch
    more = math.ceil(ENOUGH * size / counted.images)
    changes = {f"use batches of {size}": f"data.batch_size={size}"} if size < batch else {}
    if more > epochs:
        changes[f"train for {more} epochs"] = f"train.epochs={more}"
    yield Remark(
        "few_steps",
        f"the whole training has {count_of(steps, 'step')}",
        f"{epochs} epochs of {counted.images:,} images in batches of {batch}",
        " and ".join(changes),
        is_certain=steps < VERY_FEW,
        overrides=tuple(changes.values()),
        follows=("too_few_images",),
    )


def _early_stop(loaded: Loaded) -> Iterator[Remark]:
    train, early = loaded.train, loaded.train.early_stop
    if early is None:
        return
    at = "train.early_stop"
    waits, plateau = (
        early.patience * train.evaluate_every,
        train.schedule.parameters.get("patience"),
    )
    usual = max(5, math.ceil(train.epochs / 4 / train.evaluate_every))
    is_error = loaded.config.task.selecting(train.select) == "error"
    if is_error and early.min_delta >= LARGE_DELTA:
        yield Remark(
            "stops_early",
            f"only {100 * early.min_delta:.2g} points of the error count as an improvement",
            f"{at}.min_delta is {early.min_delta:g}, and a fraction: 0.001 is 0.1 points",
            f"set {at}.min_delta to 0.001, or leave it out"
            + (f", and {at}.patience to {usual}" if early.patience < usual else ""),
            overrides=(
                f"{at}.min_delta=0.001",
                *((f"{at}.patience={usual}",) if early.patience < usual else ()),
            ),
        )
    elif train.schedule.reads_validation and plateau is not None and plateau >= early.patience:
        yield Remark(
            "stops_early",
            f"training stops before the {train.schedule.name} schedule ever lowers the rate",
            f"it stops after {early.patience} evaluations without improvement, and the rate is "
            f"divided after {plateau}",
            f"set {at}.patience to {3 * plateau}",
            overrides=(f"{at}.patience={3 * plateau}",),
        )
    elif waits < PATIENT * train.epochs and train.schedule.name not in ("constant", "plateau"):
        yield Remark(
            "stops_early",
            f"training stops after {waits} of {train.epochs} epochs without improvement",
            "while the rate is high the error goes up and down by chance; it falls with the rate",
            f"set {at}.patience to {usual}, or leave early_stop out",
            is_certain=False,
            overrides=(f"{at}.patience={usual}",),
        )
