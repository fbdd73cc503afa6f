"""Continuing after a step that was not finite: it is left out, or the epoch begins again.

Both are decided on the device or from what a checkpoint holds, so a resumed run does the same.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from cnntrain.core.errors import DivergedError
from cnntrain.show.words import counted
from cnntrain.train.events import Setback
from cnntrain.train.learner import Learner
from cnntrain.train.recipe import Recipe
from cnntrain.train.snapshot import restore, snapshot
from cnntrain.train.state import TrainState

MOST_ROLLBACKS = 3

MOST_SKIPPED = 0.1
"""Share of an epoch's steps."""

SKIPPED_IN_ROW = 10
"""So many skipped steps in a row end training, and fewer in an epoch never do."""


def gives_up(learner: Learner, recipe: Recipe, *, steps_per_epoch: int) -> bool:
    """Whether what was not finite ends training, or the epoch; waits for the device."""
    state = learner.state
    if learner.has_lost_scale():
        return True
    if not recipe.skips:
        return bool(state.diverged)
    in_epoch, most = int(state.skips.in_epoch), int(state.skips.most_in_row)
    too_many = in_epoch >= SKIPPED_IN_ROW and in_epoch > MOST_SKIPPED * steps_per_epoch
    return too_many or most >= SKIPPED_IN_ROW


@dataclass(frozen=True)
class Guarded:
    """What a step changes besides the weights and the optimizer's buffers, as it was before.

    Batch normalisation's statistics, the average and the epoch's sums: one forward pass that is not
    finite would spoil them for good. And float16's scale, which is not what made it so. The
    optimizers themselves change nothing.
    """

    state: TrainState
    now: tuple[Tensor, ...]
    before: tuple[Tensor, ...]

    @staticmethod
    def of(learner: Learner) -> Guarded:
        """Copy it all before a step."""
        state = learner.state
        average = () if learner.ema is None else learner.ema.model.state_dict().values()
        scaler = learner.scaler
        scale = (scaler._scale, scaler._growth_tracker) if scaler.is_enabled() else ()
        kept = (*learner.model.buffers(), *average, *state.sums().values(), *scale)
        now = tuple(tensor for tensor in kept if tensor is not None)
        return Guarded(state, now, tuple(tensor.clone() for tensor in now))

    def keep_or_undo(self) -> Tensor:
        """After the step put it all back if it was skipped, without waiting for the device.

        Returns:
            1 if it was skipped, else 0; 0-d, on the device.
        """
        self.state.sums()  # what waits to be counted is counted
        skipped = self.state.diverged.clone()
        for now, before in zip(self.now, self.before, strict=True):
            now.copy_(torch.where(skipped > 0, before, now))
        self.state.diverged.zero_()
        return skipped


def skipped_in(state: TrainState) -> Setback | None:
    """What to report of the epoch's skipped steps; None where none was."""
    number = int(state.skips.in_epoch)
    if not number:
        return None
    text = (
        f"epoch {state.epoch + 1}: {number} of {counted(state.batch, 'step')} skipped because the "
        "loss or a gradient was not finite"
    )
    return Setback(state.epoch + 1, state.step, "skip", number, state.rate_factor, text)


def keep_good(learner: Learner) -> None:
    """Keep a copy of the state as the one to go back to."""
    learner.good = copy.deepcopy({**snapshot(learner), "good": None})


def roll_back(learner: Learner, error: DivergedError) -> Setback:
    """Go back to the state at the start of the epoch, and halve the learning rate for good.

    Raises:
        DivergedError: that was done often enough.
    """
    good, done = learner.good, learner.state.rollbacks
    assert good is not None, "kept at the start of the epoch"
    problem = error.problems[0]
    if done >= MOST_ROLLBACKS:
        raise DivergedError(
            f"{problem.message}; that is after {done} rollbacks, each with half the learning rate",
            remedy=problem.remedy,
        ) from error
    learner.optimizer.state.clear()  # before its first step an optimizer has no buffers
    seconds = learner.state.run_seconds()
    restore(learner, copy.deepcopy(good))
    state = learner.state.started(after=seconds)
    state.rollbacks = done + 1
    text = (
        f"{problem.message}; back to the end of epoch {state.epoch} (step {state.step}), the "
        f"learning rate is {state.rate_factor:g} of the schedule's from now on (rollback "
        f"{state.rollbacks} of at most {MOST_ROLLBACKS})"
    )
    return Setback(state.epoch, state.step, "rollback", state.rollbacks, state.rate_factor, text)
