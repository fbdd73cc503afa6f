"""Some steps of training as the run file says, and without one thing at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose.faults import STOPS, SUSPECTS
from cnntrain.diagnose.lost_numbers import lost_numbers
from cnntrain.diagnose.modules import Missed, batch_norms, logits_of
from cnntrain.diagnose.report import Finding
from cnntrain.diagnose.two_modes import SETTLING, TwoModes, two_modes
from cnntrain.tasks.criterion import Criterion
from cnntrain.tasks.protocol import Task
from cnntrain.train.briefly import Course, Method, set_steady, steady_copy, train_briefly
from cnntrain.train.evaluation import training_mode
from cnntrain.train.finite import all_finite

NO_PROGRESS, CLEAR = 0.15, 0.3
"""Something stops the training if with it the progress is less than the one, without it more than
the other, and at least `TIMES` as much."""

TIMES = 3.0

PULLS, DOUBT = ("weight decay", "L1"), 0.2
"""What pulls at the weights changes next to nothing in the first steps, or is too much: it is, if
with it the loss stays above this share of guessing, and is `TIMES` what it is without; or if it
takes half of a clear progress."""

LOOKED_AT = 20
"""Batches on which evaluation is compared."""


BEGUN, LEARNS = 0.9, 0.6
"""Shares of the error of guessing below which training has begun, and is not stuck."""


@dataclass(frozen=True)
class RecipeTrial:
    """A training to be made: without what, on which batches, how, and whether without chance."""

    what: str
    batches: Sequence[Batch]
    method: Method
    is_steady: bool = False


@dataclass(frozen=True)
class Tried:
    """Some steps of training: the loss and error of the images as they are, before and after.

    `evaluated` is the loss afterwards in evaluation, with running statistics that have settled, and
    `two_modes` what makes it worse there. `lost` says where a training that diverged lost its
    numbers.
    """

    trial: RecipeTrial
    course: Course
    before: float
    after: float
    error: float | None
    evaluated: float
    two_modes: TwoModes | None = None
    lost: Finding | None = None

    def seen_afterwards(self, steps: int) -> Iterator[Finding]:
        """What the trained network shows, after so many steps."""
        if self.two_modes is not None:
            yield self.two_modes.finding(steps)
        if self.lost is not None:
            yield self.lost


@dataclass(frozen=True)
class RecipeTrials:
    """What is the same in all trials.

    Args:
        net: where each starts from; it is not changed.
        plain: the images that tell the loss, as evaluation prepares them.
        steps: of each training.
        task: says which images are wrong.
        seed: of the random numbers.
        chance: the loss of guessing.
    """

    net: nn.Module
    plain: Sequence[Batch]
    steps: int
    task: Task
    seed: int
    chance: float

    def train(self, trial: RecipeTrial) -> Tried:
        """Train a copy."""
        method, plain = trial.method, self.plain
        criterion = method.criterion.plain()
        before, _ = _judge(steady_copy(self.net), plain, criterion, None)
        moving, course = self._moved(trial, self.steps)
        lost = None
        if course.diverged and not trial.what:
            last = len(course.losses) - 1
            at_fault = moving
            if last and not all_finite(moving.parameters()):  # the step before spoiled the weights
                last -= 1
                at_fault, _ = self._moved(trial, last)
            lost = lost_numbers(
                at_fault, trial.batches[last % len(trial.batches)], method.criterion
            )
        set_steady(moving)
        after, error = _judge(moving, plain, criterion, getattr(self.task, "missed", None))
        evaluated = after
        if batch_norms(moving) and not course.diverged:
            for _ in range(SETTLING):
                logits_of(moving, plain[:LOOKED_AT])
            here, _ = _judge(moving, plain[:LOOKED_AT], criterion, None)
            there, _ = _judge(moving.eval(), plain[:LOOKED_AT], criterion, None)
            evaluated += there - here
        two = None
        if not (course.diverged or trial.what):
            looked_at = plain[:LOOKED_AT]
            two = two_modes(moving, looked_at, criterion=criterion, chance=self.chance)
        after = math.inf if course.diverged else after
        return Tried(trial, course, before, after, error, evaluated, two, lost)

    def _moved(self, trial: RecipeTrial, steps: int) -> tuple[nn.Module, Course]:
        """A copy after so many steps."""
        moving, recipe = steady_copy(self.net), trial.method.recipe
        if not trial.is_steady:
            training_mode(moving)

        def scheduled(step: int) -> float:
            return recipe.lr * recipe.schedule(step)

        given = moving, trial.batches
        method = trial.method
        course = train_briefly(*given, method=method, steps=steps, rate=scheduled, seed=self.seed)
        return moving, course

    def again(self, tried: Tried) -> Tried:
        """The same training in another order of its batches, and with other chance."""
        other = replace(self, seed=self.seed + 1)
        return other.train(replace(tried.trial, batches=tried.trial.batches[::-1]))

    def held_back(self, tried: Sequence[Tried]) -> list[Finding]:
        """Accuse what makes the difference between no progress and clear progress, twice.

        When a training leaves the plateau of guessing is chance where it starts slowly: an
        accusation must hold in another order of the batches, too. By a loss for which guessing is
        free nothing is accused: it has no scale.
        """
        whole, found = tried[0], []
        compared = tried[1:] if self.chance > 0 else ()
        accused = [other for other in compared if self._is_accused(other, whole)]
        repeated = self.again(whole) if accused else whole
        for other in accused:
            if self._is_accused(self.again(other), repeated):
                found.append((self._made(other), self._finding(other, whole)))
        if not found and all(each.course.diverged for each in tried):
            return [_diverges(whole)]
        most = max((freed for freed, _ in found), default=0.0)
        return [finding for freed, finding in found if freed > 0.5 * most]

    def _made(self, tried: Tried) -> float:
        return (self.chance - tried.after) / self.chance

    def _is_accused(self, other: Tried, whole: Tried) -> bool:
        made, freed = self._made(whole), self._made(other)
        targets = torch.cat([batch.targets for batch in self.plain])
        if made < NO_PROGRESS and has_begun(whole.error, targets, share=LEARNS):
            return False  # a few mistakes that it is sure of make the loss
        is_stuck = made < NO_PROGRESS and freed > CLEAR and freed > TIMES * made
        is_pulled = whole.after > max(TIMES * other.after, DOUBT * self.chance)
        is_halved = freed > CLEAR and freed > 2 * made
        return is_stuck or (other.trial.what in PULLS and (is_pulled or is_halved))

    def _finding(self, other: Tried, whole: Tried) -> Finding:
        what = other.trial.what
        fault, headline, remedy = SUSPECTS[what]
        evidence = (
            f"after {self.steps} steps the loss of the training images is {whole.after:.3g}, "
            f"without {what} {other.after:.3g}; guessing gives {self.chance:.3g}"
        )
        # evaluation that prepares images otherwise looks the same from here
        above = ("splits_differ",) if what == "augmentation" else ()
        return Finding(fault, headline, evidence, remedy, follows=above)


def has_begun(error: float | None, targets: Tensor, *, share: float = BEGUN) -> bool:
    """Whether far fewer images are wrong than where the largest class is guessed: it is learnt,
    even if the loss does not show it yet, or no longer."""
    if error is None or targets.ndim > 1 or targets.is_floating_point():
        return False
    return error < share * (1 - float(torch.bincount(targets).max()) / len(targets))


def _judge(
    net: nn.Module, plain: Sequence[Batch], criterion: Criterion, missed: Missed | None
) -> tuple[float, float | None]:
    """The loss, and the share of images that are wrong, as far as the task says it."""
    outputs, targets = logits_of(net, plain)
    wrong = None if missed is None else float(missed(outputs, targets).float().mean())
    return float(criterion(outputs, targets)), wrong


def _diverges(whole: Tried) -> Finding:
    losses = whole.course.losses
    headline = f"training diverges after {len(losses)} steps"
    evidence = f"the loss was {whole.before:.3g}, and then {losses[-1]:.3g}"
    remedy = (
        "look at the other checks: the gradients, the initial weights, the rate; where it is "
        "only some steps, `-s train.on_divergence=rollback` (or skip) continues after them"
    )
    return Finding("diverges", headline, evidence, remedy, follows=(*STOPS, "rate_too_high"))
