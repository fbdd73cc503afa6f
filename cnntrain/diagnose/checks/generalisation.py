"""Check `generalisation`: does what is learnt carry over to images that were not trained on?

A run is judged by its network, a run file by a short training of its own. Where training images are
right and others are not, the doctor's small network learns half of the training images, and all of
them: where all are much better than half, there are too few.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose import check
from cnntrain.diagnose.carrying_over import judge_carrying_over, unjudged_because
from cnntrain.diagnose.faults import EXPLAINS
from cnntrain.diagnose.learning_curve import (
    CLEAR,
    GAP,
    Judged,
    LearningCurve,
    judge_both,
    learning_curve,
)
from cnntrain.diagnose.neighbours import Sample
from cnntrain.diagnose.report import Finding, Report, Table, not_applicable
from cnntrain.diagnose.variants import Helped, Relief, Trial, tried
from cnntrain.tasks.answers import gives_probabilities
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.protocol import Task
from cnntrain.train.briefly import Method

FEW = 10
"""Images of a class up to which they are few in any case: half of them is hardly a set."""

MANY = 50
"""Images of a class from which on a network that does not learn says nothing of their number."""

FAR_BELOW = 0.25
"""A run has missed most of what can be learnt, if its error is this much above that of a
small network."""

ONE_ANSWER, COMMON = 0.95, 1.5
"""A network that gives one answer to this share of the images, where that class is this many times
as frequent as in even classes, has learnt the frequencies alone."""


@check("generalisation", place=9.5)
def check_generalisation(  # noqa: PLR0913  # what a check may ask for
    *,
    net: nn.Module,
    trained: nn.Module,
    is_trained: bool,
    augmented: Sequence[Batch],
    method: Method,
    train: Sample,
    other: Sample | None,
    class_names: Sequence[str],
    train_images: int,
    batch: Batch | None = None,
    held_out: Batch | None = None,
    variants: Sequence[Relief] = (),
    task: Task = CLASSIFICATION,
    is_weighted: bool = False,
    recipe_steps: int = 150,
    seed: int = 0,
) -> Report:
    """Compare the share of wrong training images with that of images that were not trained on.

    Args:
        net: as training begins with it; it is not changed.
        trained: a run's network.
        is_trained: whether there is one; else `net` is trained for a while.
        augmented: training batches as the run has them.
        method: how the run trains.
        train: some of the training images, as evaluation prepares them.
        other: some of the split that measures, prepared in the same way.
        class_names: of the classes.
        train_images: how many images train.
        batch: training images as evaluation prepares them, and
        held_out: images of the split that measures: for tasks without classes.
        variants: changes that may help; tried only where there is something to help.
        task: what is learnt.
        is_weighted: whether the run makes up for uneven classes.
        recipe_steps: of each training.
        seed: seed of the random numbers of this check.
    """
    own = Trial(net, augmented, method)
    if train.targets.ndim > 1 or not gives_probabilities(task):
        if batch is None:
            return not_applicable("generalisation", "what is learnt are not classes")
        return judge_carrying_over(
            own, trained=trained if is_trained else None, batch=batch, held_out=held_out, task=task,
            train_images=train_images, steps=recipe_steps, seed=seed,
        )  # fmt: skip
    passes = recipe_steps * len(augmented[0].targets) / train_images
    why = unjudged_because(
        train.images, None if other is None else other.images,
        passes=math.inf if is_trained else passes,
    )  # fmt: skip
    if why or other is None:
        return not_applicable("generalisation", why)
    shown = copy.deepcopy(trained).eval() if is_trained else own.trained(recipe_steps, seed=seed)
    judged = judge_both(shown, train, other)
    seen = f"{judged.train:.0%} of the training images are wrong, {judged.other:.0%} of the "
    seen += f"{other.split} images"
    if not is_trained:
        seen = f"after {recipe_steps} steps {seen}"
    finding = _useless(judged, seen, class_names, is_weighted=is_weighted) if is_trained else None
    tables: tuple[Table, ...] = ()
    is_few = train_images <= MANY * len(class_names)
    is_odd = judged.has_gap if judged.is_learnt else is_few
    if finding is None and judged.other > GAP * judged.guess and (is_trained or is_odd):
        curve = learning_curve(train, other, classes=len(class_names), seed=seed)
        seen = f"{seen}; {curve.said(len(train.targets))}"
        is_all = train_images == len(train.targets)
        finding = _few(judged, curve, train, seen) if is_all else None
        finding = finding or _nothing_carried(judged, seen, len(train.targets))
        if finding is None and is_trained:
            finding = _missed(judged, curve, seen)
        if finding is not None and not finding.remedy:
            helped = tried(own, variants, train, other, steps=recipe_steps, seed=seed)
            finding = with_remedy(finding, helped, split=other.split, error=judged.error)
            tables = (_table(helped, recipe_steps),)
    return Report(
        "generalisation",
        seen if finding is None else finding.headline,
        () if finding is None else (finding,),
        numbers={"training": judged.train, "other": judged.other, "guessing": judged.guess},
        tables=tables,
        applies=finding is not None or is_trained or judged.is_learnt,
    )


def _useless(
    judged: Judged, seen: str, names: Sequence[str], *, is_weighted: bool
) -> Finding | None:
    """A run that is no better than always giving the most frequent answer."""
    if judged.guess - judged.other > CLEAR * judged.error:
        return None
    evidence = f"{seen}; always answering '{names[judged.common]}' would be wrong on "
    evidence += f"{judged.guess:.0%}"
    share = float((judged.answers == judged.common).double().mean())
    is_uneven = (1 - judged.guess) * len(names) >= COMMON and not is_weighted
    if is_uneven and share >= ONE_ANSWER:
        return Finding(
            "uneven_classes",
            f"the run answers '{names[judged.common]}' to {share:.0%} of the images: it has only "
            "learnt which class is most frequent",
            evidence,
            "draw all classes equally often: `-s data.sampling=balanced`",
            follows=EXPLAINS,
        )
    if judged.is_learnt:
        return None
    return Finding(
        "no_progress",
        f"the run is wrong on {judged.other:.0%} of images that it was not trained on: it does no "
        "better than guessing",
        evidence,
        "look at the other findings, and at the rate: `--check rate`",
        follows=EXPLAINS,
    )


def _few(judged: Judged, curve: LearningCurve, train: Sample, seen: str) -> Finding | None:
    """Training images are known, others are not, and with more of them more would be."""
    count, sizes = len(train.targets), torch.bincount(train.targets)
    per_class = count / int((sizes > 0).sum())
    has_gap = judged.has_gap
    if not judged.is_learnt:  # too slow to have memorised them: the small network has
        has_gap = min(curve.whole, judged.other) > judged.margin
    if not has_gap or not (curve.is_steep or per_class <= FEW):
        return None
    return Finding(
        "too_few_images",
        f"{count} training images, {per_class:.0f} of a class, are too few to learn what others "
        "look like",
        seen,
        "",
        follows=("splits_differ", "labels_noisy", "labels_shifted", "classes_alike"),
    )


def _nothing_carried(judged: Judged, seen: str, images: int) -> Finding | None:
    """Training images are known, and of others no more than guessing knows."""
    if not judged.is_learnt or not judged.has_gap:
        return None
    if judged.guess - judged.other > CLEAR * judged.error:
        return None
    return Finding(
        "does_not_generalise",
        f"what is learnt is of no use for others: {judged.train:.0%} of the training images are "
        f"wrong, {judged.other:.0%} of others; guessing: {judged.guess:.0%}",
        seen,
        "look at images and labels with `cnntrain data show`: if labels do not fit, put them "
        f"right; if they do, {images:,} images are too few, or do not show what sets the classes "
        "apart",
        is_certain=False,
        follows=("splits_differ", "labels_noisy", "labels_shifted", "classes_alike"),
    )


def _missed(judged: Judged, curve: LearningCurve, seen: str) -> Finding | None:
    """What a small network sees in the same images, and the run does not."""
    if judged.other - curve.whole < FAR_BELOW:
        return None
    if judged.is_learnt:
        return Finding(
            "does_not_generalise",
            f"what the run has learnt does not carry over: {judged.train:.0%} of the training "
            f"images are wrong, {judged.other:.0%} of others",
            seen,
            "",
            follows=(
                *("splits_differ", "labels_noisy", "classes_alike"),
                *("stale_batch_norm", "eval_mode_batch_norm"),
            ),
        )
    return Finding(
        "no_progress",
        f"the run has missed most of what can be learnt: {judged.other:.0%} of other images are "
        f"wrong, with a small network {curve.whole:.0%}",
        seen,
        "look at the other findings; if there are none, train longer or with another rate "
        "(`--check rate`), or make the network larger",
        is_certain=False,
        follows=EXPLAINS,
    )


def with_remedy(finding: Finding, helped: Sequence[Helped], *, split: str, error: float) -> Finding:
    """The finding with what was measured to help most; where nothing did, that is said."""
    own = helped[0].other
    tried = [each for each in helped[1:] if each.variant is not None]
    best = min(tried, key=lambda each: each.other, default=None)
    more = "take more images, or start from a network that was trained on many "
    more += "(`cnntrain new finetune`)"
    if best is None or best.variant is None or own - best.other <= error:
        names = ", ".join(each.variant.what for each in tried if each.variant)
        tail = f"; tried, and of no help: {names}" if names else ""
        return replace(finding, remedy=f"{more}{tail}")
    remedy = f"{best.variant.what}: in a short training {own:.0%} of the {split} images are wrong "
    remedy += f"without, {best.other:.0%} with it; else {more}"
    return replace(finding, remedy=remedy, overrides=best.variant.overrides)


def _table(helped: Sequence[Helped], steps: int) -> Table:
    rows = tuple(
        (each.variant.what if each.variant else "as the run file says", each.train, each.other)
        for each in helped
    )
    title = f"share of wrong images after {steps} steps"
    return Table(title, ("training", "training images", "other images"), rows)
