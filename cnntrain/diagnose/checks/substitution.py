"""Check `substitution`: what holds the network back, found by replacing one thing at a time.

What is unusual in the run file, a setting, a layer or a transform, gives way to what is usual, and
the training is made again: the cause is what makes the difference. Remedies of what other checks
are certain of are tried in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from torch import nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose import check
from cnntrain.diagnose.doubts import of_remedy
from cnntrain.diagnose.faults import OF_DATA, REFUTABLE
from cnntrain.diagnose.neighbours import Sample
from cnntrain.diagnose.replacing import (
    Far,
    Miniature,
    Replaced,
    SmallNets,
    accused,
    finding_of,
    of_no_help,
    said,
)
from cnntrain.diagnose.report import Finding, Report, Table, not_applicable
from cnntrain.diagnose.substitutes import Substitute
from cnntrain.diagnose.variants import OpenedVariant, Trial
from cnntrain.tasks.answers import gives_probabilities
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.protocol import Task
from cnntrain.train.briefly import Method

OF_PIXELS = ("misread_pixels", "same_picture")
"""What transforms can do to images that are right."""

BY_SMALL = "with the doctor's small network"

OpenTrial = Callable[[tuple[str, ...]], OpenedVariant | None]

BEHIND = 0.1
"""By how much more images must be wrong than with the doctor's small network, in shares of
guessing, for anything to be tried."""


@check("substitution", place=9.8)
def check_substitution(  # noqa: PLR0913  # what a check may ask for
    *,
    net: nn.Module,
    augmented: Sequence[Batch],
    method: Method,
    train: Sample,
    other: Sample | None,
    shares: Sequence[float],
    substitutes: Sequence[Substitute],
    transforms: Sequence[Substitute],
    open_trial: OpenTrial,
    causes: Sequence[Finding] = (),
    usual_rate: float | None = None,
    class_names: Sequence[str],
    task: Task = CLASSIFICATION,
    recipe_steps: int = 150,
    seed: int = 0,
) -> Report:
    """Train a copy as the run does, in miniature, then with one thing replaced at a time.

    Each training goes through the whole schedule in `recipe_steps`. What is far better is made
    again, as is the run's own, in another order of the batches and with more steps: only what is
    far better twice is accused. Transforms that training and evaluation share are judged by the
    doctor's small network.

    Args:
        net: as training begins with it; it is not changed.
        augmented: training batches as the run has them.
        method: how the run trains.
        train: some of the training images, as evaluation prepares them.
        other: some of the split that measures, prepared in the same way.
        shares: the share of the full rate that each step of the run has.
        substitutes: what may be replaced in the network and in how it trains.
        transforms: the same of what prepares the images.
        open_trial: opens the run file with overrides.
        causes: what other checks are certain of.
        usual_rate: the learning rate, if it is a usual one.
        class_names: of the classes.
        task: what is learnt.
        recipe_steps: of each training.
        seed: seed of the random numbers of this check.
    """
    if train.targets.ndim > 1 or not gives_probabilities(task):
        return not_applicable("substitution", "what is learnt are not classes")
    if other is None:
        return not_applicable("substitution", "there are no images that are not trained on")
    spoiled = [each for each in causes if each.fault in OF_DATA]
    if spoiled and not (transforms and spoiled[0].fault in OF_PIXELS):
        return not_applicable("substitution", f"not tried, since {spoiled[0].headline}")
    guess = 1 - float(other.targets.bincount().max()) / len(other.targets)
    is_far = Far(guess, 0.0, len(other.targets))
    small, both = SmallNets(len(class_names), seed), (train, other)
    reachable = small.error(both, again=False)
    opened, alone = partial(_seen, open_trial), [Replaced(None, (reachable,))]
    seen = Replaced.each(both, alone, transforms, opened, small.error, is_far)
    images = accused(seen, is_far)
    if spoiled:
        return _of_transforms(spoiled[0], seen, images, other.split)
    is_far = replace(is_far, reachable=reachable)
    mini = Miniature(train, other, recipe_steps, len(shares), seed)
    own = Trial(net, augmented, method)
    first = mini.error(own, again=False)
    tried, best = [Replaced(None, (first,))], None
    if first > reachable + BEHIND * guess:
        remedies = [each for cause in causes if (each := of_remedy(cause, usual_rate)) is not None]
        first_of_all = [*remedies, *(each for each in substitutes if not each.is_last)]
        is_open = all(each.fault in REFUTABLE for each in causes)
        last = [each for each in substitutes if each.is_last and is_open]
        trial = partial(_trial, open_trial)
        for some in (first_of_all, last):
            if some and (best is None or best.is_remedy):
                tried = Replaced.each(own, tried, some, trial, mini.error, is_far)
                best = accused(tried, is_far)
    is_new = best is not None and not best.is_remedy
    found = [
        *([] if images is None else [finding_of(images, seen[0], other.split)]),
        *([finding_of(best, tried[0], other.split)] if best is not None and is_new else []),
    ]
    headline = f"after {recipe_steps} steps {first:.0%} of the {other.split} images are wrong, "
    headline += f"with a small network {reachable:.0%}"
    if found or best is not None:
        headline = found[0].headline if found else said(best or tried[0], tried[0], other.split)
    how = (BY_SMALL, f"after {recipe_steps} steps")
    return Report(
        "substitution",
        headline,
        tuple(found),
        numbers={"own": first, "small": reachable, "guessing": guess},
        tables=tuple(_table(rows, at) for rows, at in zip((seen, tried), how, strict=True)
                     if len(rows) > 1),
        refutes=of_no_help(tried, best, is_far) if best is not None and is_new else (),
    )  # fmt: skip


def _of_transforms(
    spoiled: Finding, seen: Sequence[Replaced], images: Replaced | None, split: str
) -> Report:
    """Where pixels look wrong: whether a transform made them so."""
    if images is None:
        return not_applicable("substitution", f"not tried, since {spoiled.headline}")
    found = finding_of(images, seen[0], split)
    return Report(
        "substitution",
        found.headline,
        (found,),
        tables=(_table(seen, BY_SMALL),),
        refutes=(spoiled.fault,),
    )


def _seen(open_trial: OpenTrial, substitute: Substitute) -> tuple[Sample, Sample] | None:
    opened = open_trial(substitute.overrides)
    return None if opened is None else opened.samples()


def _trial(open_trial: OpenTrial, substitute: Substitute) -> Trial | None:
    opened = open_trial(substitute.overrides)
    return None if opened is None else opened.trial()


def _table(rows: Sequence[Replaced], how: str) -> Table:
    return Table(
        f"share of wrong images {how}, one thing replaced at a time",
        ("training", "other images", "with more steps"),
        tuple((row.what, row.errors[0], (*row.errors, None)[1]) for row in rows),
    )
