"""Whether a run that stopped can go on: with the same data, and something left to do."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cnntrain.assemble.make_parts import make_recipe
from cnntrain.assemble.prepare import Prepared
from cnntrain.checkpoint import State, load
from cnntrain.config.loaded import Loaded
from cnntrain.core.errors import CheckpointError, UsageError
from cnntrain.data.fingerprint import changes
from cnntrain.data.statistics import same_steps
from cnntrain.fit.to_the_end import lost_best
from cnntrain.runs.contents import (
    Contents,
    belonging,
    classes_in,
    counts_in,
    known_steps_in,
    moment_in,
    newest_checkpoint,
    open_checkpoint,
)
from cnntrain.runs.folder import RunFolder
from cnntrain.runs.locate import FoundRun
from cnntrain.runs.records import ending
from cnntrain.show.words import listed
from cnntrain.tasks.targets import NAMED, Targets
from cnntrain.train.snapshot import are_weights_alone

_NO_FINGERPRINT = (AssertionError, AttributeError, LookupError, TypeError, ValueError, zlib.error)
_REMEDY = "give the data that the run was started with (-s data.root=...)"


def contents_to_resume(found: FoundRun, run: RunFolder) -> Contents:
    """The checkpoint that a run is resumed from: the one that was named, else the newest.

    Raises:
        CheckpointError: there is no sound one, or it holds the weights alone; see
            `cnntrain.runs.contents.open_checkpoint`.
    """
    path = found.to_resume()
    if found.given is None:
        newest = newest_checkpoint(run.checkpoints)
        opened = belonging(newest.state, path=newest.path, run=run)
        skipped = [f"{reason}; resuming from {newest.path}" for reason in newest.skipped]
        opened = replace(opened, notes=(*skipped, *opened.notes))
    else:
        opened = open_checkpoint(path, run=run)
    if not are_weights_alone(opened.state):
        return opened
    others = [each for each in (run.last, run.previous) if each != opened.path and each.is_file()]
    remedy = "it can be evaluated, and its weights can start a new run (finetune.weights.run)"
    if others:
        remedy = f"resume from {others[0].name}: cnntrain fit --resume {others[0]}"
    raise CheckpointError(
        f"{opened.path} holds the weights of {moment_in(opened.state)} alone, without what a "
        "training resumes with (record.best_weights_only)",
        remedy=remedy,
    )


def check_same_data(prepared: Prepared, state: State, path: Path) -> None:
    """The data must be those that the run was started with.

    Raises:
        CheckpointError: classes, counts, the training images' statistics or files are others than
            in the checkpoint, `state` of `path`.
    """
    data = prepared.data
    changed = _changes_of_data(prepared, state, path)
    details = "".join(f"; {each}" for each in changed)
    now, then = list(data.classes), list(classes_in(state, path=path))
    counts, steps = counts_in(state), list(known_steps_in(state, path=path))
    eval_now = [dict(step) for step in data.eval_pipeline]
    if now != then:
        found = (
            f"the data have other {NAMED[data.targets.form][1]} than {path}: "
            f"{listed(now, most=6)} instead of {listed(then, most=6)}"
        )
    elif counts is not None and counts != list(data.counts["train"]):
        found = (
            f"the data have {_images(data.targets, data.counts['train']):,} training images "
            f"instead of {_images(data.targets, counts):,}, or others, so the run of {path} cannot "
            "go on as it was"
        )
    elif not same_steps(steps, eval_now):
        found = f"the training images give other statistics (mean, std) than in {path}"
    else:
        if not changed:
            return
        raise CheckpointError(
            f"the data are not those of {path}{details}",
            remedy=f"{_REMEDY}, or resume with these: -s data.fingerprint=off",
        )
    raise CheckpointError(found + details, remedy=_REMEDY)


def _images(targets: Targets, counts: Sequence[int]) -> int:
    """How many there are; of labels how often they are given."""
    if targets.parts:
        return _images(targets.parts[0], counts[: len(targets.parts[0].names)])
    return max(counts) if targets.form == "numbers" else sum(counts)


def _changes_of_data(prepared: Prepared, state: State, path: Path) -> list[str]:
    """What has become of files and pixels; nothing where there is nothing to compare."""
    then, now = state.get("fingerprint"), prepared.data.fingerprint
    if not then or not now:  # turned off, or an older checkpoint
        return []
    try:
        assert isinstance(then, dict)
        return changes(then, now)
    except _NO_FINGERPRINT as error:
        raise CheckpointError(f"the fingerprint of the data in {path} is none: {error}") from error


def check_unfinished(before: Loaded, prepared: Prepared, run: RunFolder) -> None:
    """There must be something left to do; `before` is the run file as it was.

    That may be what follows the last epoch: to recalibrate, to test, and to sum up.

    Raises:
        UsageError: all of it is done.
    """
    state, recipe = prepared.learner.state, prepared.recipe
    done, epochs, planned = state.epoch, recipe.epochs, before.train.epochs
    rule, stale = recipe.early_stop, state.early_stop.stale
    again = f"cnntrain fit --resume {run.path}"
    if done >= epochs and epochs < planned:
        found = f"has done {done} epochs already, so it cannot end after {epochs}"
        remedy = f"to train longer: {again} --epochs {done * 2}"
        if done < planned:
            remedy = f"to finish the {planned} that it was started for: {again}"
    elif not _is_complete(prepared, run):
        return
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


def _is_complete(prepared: Prepared, run: RunFolder) -> bool:
    """Whether the run came to its end from just this state."""
    ended = ending(run)
    if ended is None or ended.get("step") != prepared.learner.state.step:
        return False
    # earlier versions called a run finished that was stopped in its last evaluation
    return ended.get("test") is not None or prepared.data.test is None


def what_changes(before: Loaded, prepared: Prepared) -> list[str]:
    """What is not compared, and what other epochs than before do to the schedule, in words."""
    old, new = before.train.epochs, prepared.loaded.train.epochs
    state = prepared.learner.state
    notes = []
    if prepared.loaded.config.data.fingerprint == "off":
        notes.append("data.fingerprint is off: the files are not compared with those of before")
    if old == new:
        return notes
    steps = prepared.data.train.batches_per_epoch
    was = make_recipe(before, steps_per_epoch=steps).learning_rate(state.step, state.plateau)
    now = prepared.recipe.learning_rate(state.step, state.plateau)
    was, now = was * state.rate_factor, now * state.rate_factor
    name = prepared.loaded.train.schedule.name
    return [
        *notes,
        f"{new} epochs instead of {old}: the schedule {name} is that of a run of {new} epochs, "
        f"so the next learning rate is {now:.3g} (it was {state.lr:.3g} in the last step, and "
        f"would be {was:.3g} without the change)",
    ]


def notes_on_best(prepared: Prepared, run: RunFolder) -> list[str]:
    """What is to be said of a best.pt that is not the best; one of another run is refused."""
    best_epoch = prepared.learner.state.best_epoch
    try:
        state = load(run.best)
    except CheckpointError as error:
        what = error.problems[0].message
    else:
        belonging(state, path=run.best, run=run)
        moment = moment_in(state)
        what = "" if moment == f"epoch {best_epoch}" else f"{run.best} is of {moment}"
    if best_epoch is None or not what:
        return []
    return [lost_best(what, epoch=best_epoch)]
