"""Temperature scaling: probabilities that mean what they say, kept in the checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from cnntrain.checkpoint import load, save
from cnntrain.core.errors import UsageError
from cnntrain.core.kinds import Split
from cnntrain.model.evaluate import evaluate
from cnntrain.model.images import every_split
from cnntrain.model.model import Model
from cnntrain.model.opening import EVALUATE, Use, open_model
from cnntrain.runs.locate import find_run, run_file_at
from cnntrain.runs.lock import run_lock
from cnntrain.tasks.calibration import (
    calibration_error,
    find_temperature,
    log_loss,
    reliability,
    scaled,
)
from cnntrain.tasks.image_scores import ImageScores

CALIBRATE = Use("a checkpoint is calibrated", EVALUATE.changeable)


@dataclass(frozen=True)
class Calibration:
    """How far the probabilities of one split are to be believed.

    Args:
        images: how many.
        error: the expected calibration error, of 15 bins.
        log_loss: mean of -log of the true class's probability.
    """

    images: int
    error: float
    log_loss: float


@dataclass(frozen=True)
class Calibrated:
    """What `calibrate_run` found.

    Args:
        weights: the file of the weights.
        kept: whether the temperature is in that file now; only checkpoints keep one.
        temperature: by which logits are divided.
        before, after: by split; the validation images chose the temperature.
        notes: about the weights, and plugins that have changed.
    """

    weights: Path
    kept: bool
    temperature: float
    before: dict[Split, Calibration]
    after: dict[Split, Calibration]
    notes: tuple[str, ...] = ()


def calibrate_run(
    path: Path, *, overrides: Sequence[str] = (), plugins: Sequence[Path] = ()
) -> Calibrated:
    """Find the temperature of a network on its validation images, and keep it in its checkpoint.

    Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", 2017, section 4.2. No
    answer changes, only how sure it is. A temperature that was there before is replaced.

    Args:
        path: a run's folder, `runs/NAME` for its latest, a checkpoint file, or a run file that
            names weights, for which nothing is kept.
        overrides: changes, as for an evaluation.
        plugins: files that the user names, so that they may run.

    Raises:
        UsageError: there are no validation images, all are right, or the run is being trained.
        CheckpointError: the checkpoint is missing, damaged, or of other classes.
        DiskError: it cannot be written; it is as it was.
    """
    found = find_run(path) if run_file_at(path) is None else None
    run = None if found is None else found.run
    lock = nullcontext() if run is None else run_lock(run.path / "lock", doing="working")
    with lock:
        opened = open_model(path, overrides=overrides, plugins=plugins, use=CALIBRATE)
        model = replace(opened, temperature=1.0)
        answers = _answers(model, "validation")
        if bool(answers.right.all()):
            raise UsageError(
                f"all {len(answers.targets):,} validation images are right, so any lower "
                "temperature would look better",
                remedy="calibrate with more validation images (data.split)",
            )
        temperature = find_temperature(answers)
        splits: dict[Split, ImageScores] = {"validation": answers}
        if every_split(model.loaded).test is not None:
            splits["test"] = _answers(model, "test")
        if found is not None:
            save(model.path, {**load(model.path), "temperature": temperature})
    return Calibrated(
        model.path,
        found is not None,
        temperature,
        {name: _calibration(each) for name, each in splits.items()},
        {name: _calibration(scaled(each, temperature)) for name, each in splits.items()},
        model.loaded.notes,
    )


def _answers(model: Model, split: Split) -> ImageScores:
    found = evaluate([model], split=split).answers
    if found is None:
        message = "a temperature needs probabilities of classes, which the task does not have"
        raise UsageError(message, remedy="only classifications are calibrated")
    return found


def _calibration(answers: ImageScores) -> Calibration:
    error = calibration_error(reliability(answers))
    return Calibration(len(answers.targets), error, log_loss(answers))
