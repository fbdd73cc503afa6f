"""Check `recipe`: does training begin as the run file says, and if not, what stops it?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from matplotlib.figure import Figure
from torch import nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose import check
from cnntrain.diagnose.drawing import SIZE
from cnntrain.diagnose.explained import guessing_words, share_words
from cnntrain.diagnose.faults import EXPLAINS
from cnntrain.diagnose.modules import batch_norms, is_random, logits_of
from cnntrain.diagnose.recipe_trials import (
    DOUBT,
    NO_PROGRESS,
    PULLS,
    TIMES,
    RecipeTrial,
    RecipeTrials,
    Tried,
    has_begun,
)
from cnntrain.diagnose.report import Finding, Plot, Report, Table
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.protocol import Task
from cnntrain.train.briefly import Method, chance_loss, steady_copy

LEARNS_WELL = 0.5
"""Share of the loss of guessing below which nothing can be much wrong with the network."""

LEARNS_BEST = 0.25
"""Share below which the rate cannot be much too high."""

GUESSES, MANY = 0.95, 100
"""A training that ends above this share of guessing has not begun; to say so takes so many steps,
half of them at the full rate."""

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
    loss: str = "",
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
        loss: its name.
        recipe_steps: of each training.
        seed: seed of the random numbers of this check.
    """
    targets = torch.cat([batch.targets for batch in batches])
    outputs = logits_of(steady_copy(net), batches[:1])[0].shape[1:]
    chance = chance_loss(method.criterion.plain(), targets, classes=classes, outputs=outputs)
    trials = RecipeTrials(net, batches, recipe_steps, task, seed, chance)
    whole = trials.train(RecipeTrial("", augmented, method))
    tried = [whole]
    is_stuck = chance > 0 and not whole.after < (1 - NO_PROGRESS) * chance
    for what, how in without.items():
        if is_stuck or (what in PULLS and whole.after > DOUBT * chance):
            tried.append(trials.train(RecipeTrial(what, augmented, how)))
    if is_stuck:
        if is_random(net):
            tried.append(trials.train(RecipeTrial("dropout", augmented, method, is_steady=True)))
        pairs = zip(augmented, batches, strict=True)
        if not all(torch.equal(ours.images, theirs.images) for ours, theirs in pairs):
            tried.append(trials.train(RecipeTrial("augmentation", batches, method)))
    is_clueless = _seems_clueless(whole, chance) and not has_begun(whole.error, targets)
    findings = (
        *trials.held_back(tried),
        *_stale(net, whole, chance, recipe_steps),
        *whole.seen_afterwards(recipe_steps),
        *(_no_progress(whole, chance, method, recipe_steps, loss) if is_clueless else ()),
    )
    refutes: tuple[str, ...] = ()
    if whole.after < LEARNS_WELL * chance:
        is_warm = method.recipe.schedule(recipe_steps // 2) > 0.5
        acquits_rate = is_warm and whole.after < LEARNS_BEST * chance
        refutes = (*REFUTES, *(("rate_too_high",) if acquits_rate else ()))
    headline = (
        f"in {recipe_steps} steps the loss goes from {whole.before:.3g} to {whole.after:.3g}; "
        f"{guessing_words(loss)} costs {chance:.3g}{share_words(whole.after, chance, of=loss)}"
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


def _seems_clueless(whole: Tried, chance: float) -> bool:
    """By its loss, or because guessing is free, so that the loss says nothing."""
    return chance <= 0 or whole.after >= GUESSES * chance


def _no_progress(
    whole: Tried, chance: float, method: Method, steps: int, loss: str
) -> Iterator[Finding]:
    """A training that does no better than guessing, of whatever cause, if it was long enough."""
    at_full_rate = sum(map(method.recipe.schedule, range(steps)))
    if steps >= MANY and at_full_rate > 0.5 * steps:
        yield Finding(
            "no_progress",
            f"after {steps} steps the network does no better than {guessing_words(loss)}",
            f"the loss of the training images was {whole.before:.3g} and is {whole.after:.3g}; "
            f"{guessing_words(loss)} costs {chance:.3g}",
            "look at the other findings; if there are none, at the images with `cnntrain data "
            "show`, and try another learning rate",
            is_certain=False,
            follows=EXPLAINS,
        )


def _said(tried: Tried) -> str:
    what = tried.trial.what
    return f"without {what}" if what else "as the run file says"


def _table(tried: Sequence[Tried]) -> Table:
    rows = tuple(
        (_said(t), t.before, t.after if math.isfinite(t.after) else "diverges", t.error)
        for t in tried
    )
    title = "loss of the training images, as they are, before and after some steps"
    return Table(title, ("training", "before", "after", "error after"), rows)


def _draw(tried: Sequence[Tried], *, chance: float) -> Figure:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    for each in tried:
        axes.plot(range(1, len(each.course.losses) + 1), each.course.losses, label=_said(each))
    axes.axhline(chance, color="0.6", linestyle=":", label="guessing")
    axes.set_ylim(0, 2 * max(chance, min(4 * chance, tried[0].course.losses[0])) or 1.0)
    axes.set_xlabel("step")
    axes.set_ylabel("loss of the batch")
    axes.legend()
    return figure
