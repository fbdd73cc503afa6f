"""Check `substitution`: what holds the network back, found by taking one thing away at a time.

It is asked where no other check is certain of a cause. What is unusual in the run file, a setting
or a layer, gives way to what is usual, and the training is made again: the cause is what makes the
difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose import check
from cnntrain.diagnose.faults import EXPLAINS, SYMPTOMS
from cnntrain.diagnose.learning_curve import judge_both
from cnntrain.diagnose.neighbours import Sample
from cnntrain.diagnose.report import Finding, Report, Table, not_applicable
from cnntrain.diagnose.small_net import SmallNet
from cnntrain.diagnose.substitutes import LAYER, Substitute
from cnntrain.diagnose.variants import Trial
from cnntrain.tasks.answers import gives_probabilities
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.protocol import Task
from cnntrain.train.briefly import Method

BEHIND = 0.1
"""By how much more images must be wrong than with the doctor's small network, in shares of
guessing, for anything to be tried."""

FAR, SHARE, SURE = 0.2, 0.6, 4.0
"""A substitute is far better if it takes this share of guessing off the error, leaves at most the
second share of what is above the small network's, and is so many standard errors below."""


@dataclass(frozen=True)
class Compared:
    """A substitute (None: the run file as it is) and its share of wrong images of the other split,
    of each training."""

    substitute: Substitute | None
    errors: tuple[float, ...]


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
    open_trial: Callable[[tuple[str, ...]], Trial | None],
    causes: Sequence[str] = (),
    class_names: Sequence[str],
    task: Task = CLASSIFICATION,
    recipe_steps: int = 150,
    seed: int = 0,
) -> Report:
    """Train a copy as the run does, in miniature, then with one thing replaced at a time.

    Each training goes through the whole schedule in `recipe_steps`. What is far better is made
    again, as is the run's own, in another order of the batches: only what is far better twice is
    accused.

    Args:
        net: as training begins with it; it is not changed.
        augmented: training batches as the run has them.
        method: how the run trains.
        train: some of the training images, as evaluation prepares them.
        other: some of the split that measures, prepared in the same way.
        shares: the share of the full rate that each step of the run has.
        substitutes: what may be replaced.
        open_trial: opens the run file with overrides.
        causes: what is known to be wrong.
        class_names: of the classes.
        task: what is learnt.
        recipe_steps: of each training.
        seed: seed of the random numbers of this check.
    """
    if causes:
        return not_applicable("substitution", "not tried: a cause has been found")
    if train.targets.ndim > 1 or not gives_probabilities(task):
        return not_applicable("substitution", "what is learnt are not classes")
    if other is None:
        return not_applicable("substitution", "there are no images that are not trained on")
    small = SmallNet(train.images, train.targets, classes=len(class_names), seed=seed)
    answers = small.answers(other.images)
    reachable = float((answers != other.targets).double().mean())
    guess = judge_guess(other)

    def error(trial: Trial, *, again: bool) -> float:
        batches = trial.batches[::-1] if again else trial.batches
        moved = Trial(trial.net, batches, trial.method).trained(
            recipe_steps, seed=seed + again, run_steps=len(shares)
        )
        return judge_both(moved, train, other).other

    own = Trial(net, augmented, method)
    first = error(own, again=False)
    rows = [Compared(None, (first,))]
    seen = f"after {recipe_steps} steps {first:.0%} of the {other.split} images are wrong, with "
    seen += f"a small network {reachable:.0%}"
    finding = None
    if first > reachable + BEHIND * guess:
        is_far = _Far(guess, reachable, len(other.targets))
        second = None
        for each in substitutes:
            trial = open_trial(each.overrides)
            if trial is None:
                continue
            errors: tuple[float, ...] = (error(trial, again=False),)
            if is_far(errors[0], first):
                second = error(own, again=True) if second is None else second
                errors = (*errors, error(trial, again=True))
            rows.append(Compared(each, errors))
        if second is not None:
            rows[0] = Compared(None, (first, second))
        finding = _accused(rows, is_far, split=other.split, steps=recipe_steps)
    return Report(
        "substitution",
        seen if finding is None else finding.headline,
        () if finding is None else (finding,),
        numbers={"own": first, "small": reachable, "guessing": guess},
        tables=(_table(rows),) if len(rows) > 1 else (),
    )


def judge_guess(other: Sample) -> float:
    """Share that is wrong if the most frequent class is answered to all."""
    return 1 - float(other.targets.bincount().max()) / len(other.targets)


@dataclass(frozen=True)
class _Far:
    """Whether one error is far below another one."""

    guess: float
    reachable: float
    images: int

    def noise(self, error: float) -> float:
        """The standard error of a share."""
        return math.sqrt(max(error * (1 - error), 0.01) / self.images)

    def __call__(self, changed: float, own: float) -> bool:
        least = max(FAR * self.guess, SURE * self.noise(own))
        is_half = changed - self.reachable <= SHARE * (own - self.reachable)
        return own - changed >= least and is_half


def _accused(rows: Sequence[Compared], is_far: _Far, *, split: str, steps: int) -> Finding | None:
    """The best of those that are far better twice; of equals the innermost, then the first."""
    own, *changed = rows
    twice = [row for row in changed if len(row.errors) > 1]
    good = [row for row in twice if all(map(is_far, row.errors, own.errors))]
    if not good:
        return None
    least = min(sum(row.errors) for row in good) / 2
    even = [row for row in good if sum(row.errors) / 2 <= least + is_far.noise(least)]
    best = max(even, key=lambda row: _depth(row.substitute))
    found = best.substitute
    assert found is not None
    what = "the network learns" if found.fault == LAYER else "training goes"
    return Finding(
        found.fault,
        f"{what} far better {found.instead} {found.subject}: {best.errors[0]:.0%} of the {split} "
        f"images are wrong, as it is {own.errors[0]:.0%}",
        f"after {steps} steps each, with all else the same; in another order of the batches "
        f"{best.errors[1]:.0%} and {own.errors[1]:.0%}; {len(changed)} changes were tried",
        f"train {found.instead} {found.subject}",
        follows=tuple(code for code in EXPLAINS if code not in (*SYMPTOMS, found.fault)),
        overrides=found.overrides,
        layers=found.layers,
    )


def _depth(substitute: Substitute | None) -> int:
    """How many lists its layers are inside of, at the most; -1 for a setting."""
    names = substitute.layers if substitute else ()
    return max((name.count(".") for name in names), default=-1)


def _table(rows: Sequence[Compared]) -> Table:
    return Table(
        "share of wrong images after equally long trainings, one thing replaced at a time",
        ("training", "other images", "again"),
        tuple(
            (
                "as the run file says"
                if row.substitute is None
                else f"{row.substitute.instead} {row.substitute.subject}",
                row.errors[0],
                row.errors[1] if len(row.errors) > 1 else None,
            )
            for row in rows
        ),
    )
