"""Whether a run that stopped can go on: with the same data, and something left to do."""

from __future__ import annotations

from pathlib import Path

from cnntrain.assemble.make_parts import make_recipe
from cnntrain.assemble.prepare import Prepared
from cnntrain.checkpoint import State
from cnntrain.config.loaded import Loaded
from cnntrain.core.errors import CheckpointError, UsageError
from cnntrain.runs.contents import classes_in, counts_in, steps_in
from cnntrain.runs.folder import RunFolder
from cnntrain.show.words import listed


def check_same_data(prepared: Prepared, state: State, path: Path) -> None:
    """The data must be those that the run was started with.

    Raises:
        CheckpointError: classes, counts or the training images' statistics are others than in the
            checkpoint, `state` of `path`.
    """
    data = prepared.data
    now, then = list(data.classes), list(classes_in(state, path=path))
    counts, steps = counts_in(state), list(steps_in(state, path=path))
    eval_now = [dict(step) for step in data.eval_pipeline]
    if now != then:
        found = (
            f"the data have other classes than {path}: {listed(now, most=6)} instead of "
            f"{listed(then, most=6)}"
        )
    elif counts is not None and counts != list(data.counts["train"]):
        found = (
            f"the data have {sum(data.counts['train']):,} training images instead of "
            f"{sum(counts):,}, or others, so the run of {path} cannot go on as it was"
        )
    elif steps != eval_now:
        found = f"the training images give other statistics (mean, std) than in {path}"
    else:
        return
    raise CheckpointError(
        found, remedy="give the data that the run was started with (-s data.root=...)"
    )


def check_unfinished(before: Loaded, prepared: Prepared, run: RunFolder) -> None:
    """There must be something left to do; `before` is the run file as it was.

    Raises:
        UsageError: all epochs are done, or it stopped early.
    """
    state, recipe = prepared.learner.state, prepared.recipe
    done, epochs, planned = state.epoch, recipe.epochs, before.train.epochs
    rule, stale = recipe.early_stop, state.early_stop.stale
    again = f"cnntrain fit --resume {run.path}"
    if done >= epochs and epochs < planned:
        found = f"has done {done} epochs already, so it cannot end after {epochs}"
        remedy = f"to go on to the {planned} that it was started for: {again}"
    elif done >= epochs:
        found = f"has done all of its {epochs} epochs"
        remedy = f"to train longer: {again} --epochs {max(epochs, done) * 2}"
    elif rule is not None and rule.reached(state.early_stop):
        found = (
            f"stopped early after {done} epochs, for the validation error did not fall in {stale} "
            "evaluations"
        )
        remedy = (
            f"to train longer: {again} -s train.early_stop.patience={stale * 2}, or "
            "-s train.early_stop=null"
        )
    else:
        return
    raise UsageError(f"the run {run.path} {found}", remedy=remedy)


def what_changes(before: Loaded, prepared: Prepared) -> list[str]:
    """What other epochs than before do to the schedule, in words."""
    old, new = before.train.epochs, prepared.loaded.train.epochs
    state = prepared.learner.state
    if old == new:
        return []
    steps = prepared.data.train.batches_per_epoch
    was = make_recipe(before, steps_per_epoch=steps).learning_rate(state.step, state.plateau)
    now = prepared.recipe.learning_rate(state.step, state.plateau)
    name = prepared.loaded.train.schedule.name
    return [
        f"{new} epochs instead of {old}: the schedule {name} is that of a run of {new} epochs, "
        f"so the next learning rate is {now:.3g} (it was {state.lr:.3g} in the last step, and "
        f"would be {was:.3g} without the change)"
    ]
