"""Check `recipe`: does training begin as the run file says, and if not, what stops it?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from matplotlib.figure import Figure
from torch import nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose import check
from cnntrain.diagnose.drawing import SIZE
from cnntrain.diagnose.faults import EXPLAINS, MENDED, STOPS, SUSPECTS
from cnntrain.diagnose.modules import Missed, batch_norms, is_random, logits_of
from cnntrain.diagnose.report import Finding, Plot, Report, Table
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.criterion import Criterion
from cnntrain.tasks.protocol import Task
from cnntrain.train.briefly import (
    Course,
    Method,
    chance_loss,
    set_steady,
    steady_copy,
    train_briefly,
)
from cnntrain.train.evaluation import training_mode

LEARNS_WELL = 0.5
"""Share of the loss of guessing below which nothing can be much wrong with the network."""

LEARNS_BEST = 0.25
"""Share below which the rate cannot be much too high."""

NO_PROGRESS, CLEAR = 0.15, 0.3
"""Something stops the training if with it the progress is less than the one, without it more than
the other, and at least `TIMES` as much."""

TIMES = 3.0

PULLS, DOUBT = ("weight decay", "L1"), 0.2
"""What pulls at the weights changes next to nothing in the first steps, or is too much: it is, if
with it the loss stays above this share of guessing, and is `TIMES` what it is without; or if it
takes half of a clear progress."""

GUESSES, MANY = 0.95, 100
"""A training that ends above this share of guessing has not begun; to say so takes so many steps,
half of them at the full rate."""

LOOKED_AT = 20
"""Batches on which evaluation is compared."""

SETTLING = 3
"""Passes over the images after which running averages of the usual momentum have arrived."""

STALE = 0.05
"""By how much, in shares of guessing, the loss in evaluation may be above that of the batches."""

REFUTES = (
    "exploding_activations",
    "vanishing_activations",
    "exploding_gradients",
    "vanishing_gradients",
    "saturated_units",
    "large_initial_loss",
)
"""What cannot be a fault of a network that learns well."""


@dataclass(frozen=True)
class Tried:
    """Some steps of training: the loss and error of the images as they are, before and after.

    `evaluated` is the loss afterwards in evaluation, with running statistics that have settled.
    """

    what: str
    course: Course
    before: float
    after: float
    error: float | None
    evaluated: float


@check("recipe", place=9)
def check_recipe(  # noqa: PLR0913  # what a check may ask for
    *,
    net: nn.Module,
    augmented: Sequence[Batch],
    batches: Sequence[Batch],
    method: Method,
    without: Mapping[str, Method],
    classes: int,
    task: Task = CLASSIFICATION,
    recipe_steps: int = 150,
    seed: int = 0,
) -> Report:
    """Train a copy as the run does; where it does not learn, again without one thing at a time.

    What is compared is the loss of the images without augmentation, dropout and label smoothing,
    after equally many steps from equal weights. So only what keeps the network from learning the
    training images is found, not what makes it a little slower.

    Args:
        net: the network; it is not changed.
        augmented: training batches as the run has them.
        batches: the same images as evaluation prepares them.
        method: how the run trains.
        without: the method without one of `SUSPECTS`, by its name, for those that the run has;
            dropout and augmentation need none.
        classes: how many there are.
        task: says which images are wrong.
        recipe_steps: of each training.
        seed: seed of the random numbers of this check.
    """
    attempt = partial(_attempt, net=net, plain=batches, steps=recipe_steps, task=task, seed=seed)
    targets = torch.cat([batch.targets for batch in batches])
    outputs = logits_of(steady_copy(net), batches[:1])[0].shape[1:]
    chance = chance_loss(method.criterion.plain(), targets, classes=classes, outputs=outputs)
    whole = attempt("as the run file says", augmented, method=method)
    tried = [whole]
    is_stuck = not whole.after < (1 - NO_PROGRESS) * chance
    for what, how in without.items():
        if is_stuck or (what in PULLS and whole.after > DOUBT * chance):
            tried.append(attempt(f"without {what}", augmented, method=how))
    if is_stuck:
        if is_random(net):
            tried.append(attempt("without dropout", augmented, method=method, is_steady=True))
        pairs = zip(augmented, batches, strict=True)
        if not all(torch.equal(ours.images, theirs.images) for ours, theirs in pairs):
            tried.append(attempt("without augmentation", batches, method=method))
    is_clueless = whole.after >= GUESSES * chance
    findings = (
        *_held_back(tried, chance, recipe_steps),
        *_stale(net, whole, chance, recipe_steps),
        *(_no_progress(whole, chance, method, recipe_steps) if is_clueless else ()),
    )
    refutes: tuple[str, ...] = ()
    if whole.after < LEARNS_WELL * chance:
        is_warm = method.recipe.schedule(recipe_steps // 2) > 0.5
        acquits_rate = is_warm and whole.after < LEARNS_BEST * chance
        refutes = (*REFUTES, *(("rate_too_high",) if acquits_rate else ()))
    headline = (
        f"in {recipe_steps} steps the loss goes from {whole.before:.3g} to {whole.after:.3g}; "
        f"guessing gives {chance:.3g}"
    )
    if is_clueless:
        headline += ": in so few steps at so low a rate nothing can be said"
    return Report(
        "recipe",
        findings[0].headline if findings else headline,
        findings,
        numbers={
            "loss_before": whole.before,
            "loss_after": whole.after,
            "error_after": whole.error,
            "loss_of_guessing": chance,
            "steps": recipe_steps,
        },
        tables=(_table(tried),),
        pictures=(Plot("the first steps of training", _draw(tried, chance=chance)),),
        refutes=refutes,
        applies=bool(findings) or not is_clueless,
    )


def _attempt(  # noqa: PLR0913  # what is the same in all attempts, then what is not
    what: str,
    batches: Sequence[Batch],
    *,
    net: nn.Module,
    plain: Sequence[Batch],
    method: Method,
    steps: int,
    task: Task,
    is_steady: bool = False,
    seed: int,
) -> Tried:
    moving, recipe, criterion = steady_copy(net), method.recipe, method.criterion.plain()
    before, _ = _judge(moving, plain, criterion, None)
    if not is_steady:
        training_mode(moving)

    def scheduled(step: int) -> float:
        return recipe.lr * recipe.schedule(step)

    course = train_briefly(moving, batches, method=method, steps=steps, rate=scheduled, seed=seed)
    set_steady(moving)
    after, error = _judge(moving, plain, criterion, getattr(task, "missed", None))
    evaluated = after
    if batch_norms(moving) and not course.diverged:
        for _ in range(SETTLING):
            logits_of(moving, plain[:LOOKED_AT])
        here, _ = _judge(moving, plain[:LOOKED_AT], criterion, None)
        there, _ = _judge(moving.eval(), plain[:LOOKED_AT], criterion, None)
        evaluated += there - here
    return Tried(what, course, before, math.inf if course.diverged else after, error, evaluated)


def _judge(
    net: nn.Module, plain: Sequence[Batch], criterion: Criterion, missed: Missed | None
) -> tuple[float, float | None]:
    """The loss, and the share of images that are wrong, as far as the task says it."""
    outputs, targets = logits_of(net, plain)
    wrong = None if missed is None else float(missed(outputs, targets).float().mean())
    return float(criterion(outputs, targets)), wrong


def _held_back(tried: Sequence[Tried], chance: float, steps: int) -> list[Finding]:
    """Accuse what makes the difference between no progress and clear progress."""
    whole = tried[0]
    made = (chance - whole.after) / chance
    found: list[tuple[float, Finding]] = []
    for other in tried[1:]:
        what = other.what.removeprefix("without ")
        fault, headline, remedy = SUSPECTS[what]
        freed = (chance - other.after) / chance
        is_stuck = made < NO_PROGRESS and freed > CLEAR and freed > TIMES * made
        is_pulled = whole.after > max(TIMES * other.after, DOUBT * chance)
        is_halved = freed > CLEAR and freed > 2 * made
        if is_stuck or (what in PULLS and (is_pulled or is_halved)):
            evidence = (
                f"after {steps} steps the loss of the training images is {whole.after:.3g}, "
                f"{other.what} {other.after:.3g}; guessing gives {chance:.3g}"
            )
            mended = MENDED.get(fault, ())
            # evaluation that prepares images otherwise looks the same from here
            above = ("splits_differ",) if what == "augmentation" else ()
            finding = Finding(fault, headline, evidence, remedy, overrides=mended, follows=above)
            found.append((freed, finding))
    if not found and all(each.course.diverged for each in tried):
        losses = whole.course.losses
        headline = f"training diverges after {len(losses)} steps"
        evidence = f"the loss was {whole.before:.3g}, and then {losses[-1]:.3g}"
        remedy = (
            "look at the other checks: the gradients, the initial weights, the rate; where it is "
            "only some steps, `-s train.on_divergence=rollback` (or skip) continues after them"
        )
        return [Finding("diverges", headline, evidence, remedy, follows=(*STOPS, "rate_too_high"))]
    most = max((freed for freed, _ in found), default=0.0)
    return [finding for freed, finding in found if freed > 0.5 * most]


def _stale(net: nn.Module, whole: Tried, chance: float, steps: int) -> Iterator[Finding]:
    """Whether evaluation suffers from running statistics that are not those of the batches."""
    norms = [(name, norm) for name, norm in batch_norms(net) if norm.momentum is not None]
    is_worse = whole.evaluated >= max(TIMES * whole.after, whole.after + STALE * chance)
    if norms and not whole.course.diverged and is_worse:
        name, norm = norms[0]
        yield Finding(
            "stale_batch_norm",
            "the running statistics of batch normalisation do not follow the batches",
            f"after {steps} steps the loss of the training images is {whole.after:.3g}, and "
            f"{whole.evaluated:.3g} in evaluation; the momentum of '{name}' is {norm.momentum:g}",
            "set the momentum of batch_norm to 0.1; `cnntrain recalibrate` mends a trained run",
        )


def _no_progress(whole: Tried, chance: float, method: Method, steps: int) -> Iterator[Finding]:
    """A training that does no better than guessing, of whatever cause, if it was long enough."""
    at_full_rate = sum(map(method.recipe.schedule, range(steps)))
    if steps >= MANY and at_full_rate > 0.5 * steps:
        yield Finding(
            "no_progress",
            f"after {steps} steps the network does no better than guessing",
            f"the loss of the training images was {whole.before:.3g} and is {whole.after:.3g}; "
            f"guessing gives {chance:.3g}",
            "look at the other findings; if there are none, at the images with `cnntrain data "
            "show`, and try another learning rate",
            is_certain=False,
            follows=EXPLAINS,
        )


def _table(tried: Sequence[Tried]) -> Table:
    rows = tuple(
        (t.what, t.before, t.after if math.isfinite(t.after) else "diverges", t.error)
        for t in tried
    )
    title = "loss of the training images, as they are, before and after some steps"
    return Table(title, ("training", "before", "after", "error after"), rows)


def _draw(tried: Sequence[Tried], *, chance: float) -> Figure:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    for each in tried:
        axes.plot(range(1, len(each.course.losses) + 1), each.course.losses, label=each.what)
    axes.axhline(chance, color="0.6", linestyle=":", label="guessing")
    axes.set_ylim(0, 2 * max(chance, min(4 * chance, tried[0].course.losses[0])))
    axes.set_xlabel("step")
    axes.set_ylabel("loss of the batch")
    axes.legend()
    return figure
