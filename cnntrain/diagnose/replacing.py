"""Trainings with one thing replaced at a time, compared with the training as it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cnntrain.diagnose.faults import OF_TRAINING, REFUTABLE
from cnntrain.diagnose.learning_curve import judge_both
from cnntrain.diagnose.neighbours import Sample
from cnntrain.diagnose.report import Finding
from cnntrain.diagnose.small_net import SmallNet
from cnntrain.diagnose.substitutes import LAYER, Substitute
from cnntrain.diagnose.variants import Trial

FAR, SHARE, SURE = 0.15, 0.6, 4.0
"""A substitute is far better if it takes this share of guessing off the error, leaves at most the
second share of what is above the small network's, and is so many standard errors below."""

LONGER, KEPT = 4, 0.6
"""An accusation must hold for this many times as many steps, up to those of the run, with at least
this share of the difference: what is only slower catches up."""

SLIGHT, LITTLE = 2.0, 0.4
"""Standard errors by which something must be better, where nothing is far better, for a longer
training; and the share of the error of guessing that a training has then, which knows little."""


@dataclass(frozen=True)
class Far:
    """Whether one error is far below another one.

    Args:
        guess: the error of guessing.
        reachable: what is known to be possible.
        images: that were asked about.
    """

    guess: float
    reachable: float
    images: int

    def noise(self, error: float) -> float:
        """The standard error of a share."""
        return math.sqrt(max(error * (1 - error), 0.01) / self.images)

    def __call__(self, changed: float, own: float) -> bool:
        """Judge an error with something replaced by that of the run file as it is."""
        least = max(FAR * self.guess, SURE * self.noise(own))
        is_half = changed - self.reachable <= SHARE * (own - self.reachable)
        return own - changed >= least and is_half


@dataclass(frozen=True)
class Replaced:
    """A substitute (None: as it is) and the share of wrong images of each training with it."""

    substitute: Substitute | None
    errors: tuple[float, ...]

    @property
    def what(self) -> str:
        """In words."""
        return self.substitute.what if self.substitute else "as the run file says"

    @property
    def is_remedy(self) -> bool:
        """Whether another check proposes it."""
        return self.substitute is not None and self.substitute.is_remedy

    @property
    def error(self) -> float:
        """The mean."""
        return sum(self.errors) / len(self.errors)

    def gain_from(self, own: Replaced, training: int) -> float:
        """By how much the error is lower than another one, after the first or second training."""
        return own.errors[training] - self.errors[training]

    @staticmethod
    def each(
        own: Any,
        tried: Sequence[Replaced],
        substitutes: Sequence[Substitute],
        opened: Callable[[Substitute], Any],
        error: Callable[..., float],
        is_far: Far,
    ) -> list[Replaced]:
        """Train with each; what is far better, and as it is, once more.

        Args:
            own: what `error` takes, as it is.
            tried: its errors, as far as they are known, and what was tried before.
            substitutes: what to try; those for which `opened` gives None are left out.
            opened: makes what `error` takes.
            error: of a training, and with `again=True` of another one of the same.
            is_far: says what is far better.
        """
        found = [
            Replaced(each, (error(trial, again=False),))
            for each in substitutes
            if (trial := opened(each)) is not None
        ]
        known, *before = tried
        first = known.errors[0]
        good = [row for row in found if is_far(row.errors[0], first)]
        good = good or _promising(found, first, is_far)
        if not good:
            return [known, *before, *found]

        def longer(row: Replaced) -> Replaced:
            trial = opened(row.substitute) if row.substitute and row in good else None
            return (
                row
                if trial is None
                else replace(row, errors=(*row.errors, error(trial, again=True)))
            )

        second = known.errors[1] if len(known.errors) > 1 else error(own, again=True)
        return [Replaced(None, (first, second)), *before, *map(longer, found)]


def _promising(rows: Sequence[Replaced], own: float, is_far: Far) -> list[Replaced]:
    """What is best of all where a network learns so slowly that nothing is far better yet."""
    best = min(rows, key=lambda row: row.error, default=None)
    is_better = best is not None and own - best.error >= SLIGHT * is_far.noise(own)
    return [best] if best is not None and is_better else []


def accused(rows: Sequence[Replaced], is_far: Far) -> Replaced | None:
    """The best of those that are far better twice than the first row, and stay so; or that are so
    in the longer training, in which the first row still knows little.

    Of equals what weighs most counts, then the innermost layers, then what stands first.
    """
    own, *changed = rows
    twice = [row for row in changed if len(row.errors) > 1]
    good = [
        row
        for row in twice
        if is_far(row.errors[1], own.errors[1])
        and row.gain_from(own, 1) >= KEPT * row.gain_from(own, 0)
        and (is_far(row.errors[0], own.errors[0]) or own.errors[1] >= LITTLE * is_far.guess)
    ]
    if not good:
        return None
    least = min(row.error for row in good)
    even = [row for row in good if row.error <= least + is_far.noise(least)]
    return max(even, key=lambda row: row.substitute.rank if row.substitute else (0, -1))


def of_no_help(rows: Sequence[Replaced], best: Replaced, is_far: Far) -> tuple[str, ...]:
    """Of `REFUTABLE` the faults whose remedies were tried, and do far less than the best one; of
    doubted ones those that do no more."""
    return tuple(
        row.substitute.fault
        for row in rows
        if row.substitute is not None
        and row.is_remedy
        and row.substitute.fault in REFUTABLE
        and (row.substitute.weight < 0 or is_far(best.errors[0], row.errors[0]))
    )


def said(best: Replaced, own: Replaced, split: str) -> str:
    """What the comparison shows."""
    return (
        f"{best.what}: {best.errors[0]:.0%} of the {split} images are wrong, as it is "
        f"{own.errors[0]:.0%}"
    )


def finding_of(best: Replaced, own: Replaced, split: str) -> Finding:
    """The fault whose removal makes the difference."""
    found = best.substitute
    assert found is not None
    what = "the network learns" if found.fault == LAYER else "training goes"
    return Finding(
        found.fault,
        f"{what} far better {said(best, own, split)}",
        "after equally many steps, with all else the same; after more of them, in another order of "
        f"the batches, {best.errors[1]:.0%} and {own.errors[1]:.0%}",
        f"train {found.what}",
        follows=tuple(code for code in OF_TRAINING if code != found.fault),
        overrides=found.overrides,
        layers=found.layers,
    )


@dataclass(frozen=True)
class SmallNets:
    """The doctor's own networks, for what only changes the images."""

    classes: int
    seed: int

    def error(self, samples: tuple[Sample, Sample], *, again: bool) -> float:
        """The share of the second sample's images that a network taught the first gets wrong."""
        ours, theirs = samples
        seed = self.seed + again
        net = SmallNet(ours.images, ours.targets, classes=self.classes, seed=seed)
        return float((net.answers(theirs.images) != theirs.targets).double().mean())


@dataclass(frozen=True)
class Miniature:
    """Trainings that go through a whole schedule in a few steps.

    Args:
        train: some of the training images, as evaluation prepares them.
        other: images that were not trained on.
        steps: of each training.
        run_steps: of the run.
        seed: of the random numbers.
    """

    train: Sample
    other: Sample
    steps: int
    run_steps: int
    seed: int

    def error(self, trial: Trial, *, again: bool) -> float:
        """The share of other images that are wrong after a training; `again` in another order, and
        with more steps."""
        batches = trial.batches[::-1] if again else trial.batches
        steps = max(self.steps, min(LONGER * self.steps, self.run_steps)) if again else self.steps
        ordered = replace(trial, batches=batches)
        moved = ordered.trained(steps, seed=self.seed + again, run_steps=self.run_steps)
        return judge_both(moved, *(trial.seen or (self.train, self.other))).other
