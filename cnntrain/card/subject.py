"""What a card is about: a trained network, its run's records, and what the images show now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from cnntrain.core.errors import CheckpointError, DataError, UsageError
from cnntrain.core.kinds import Split
from cnntrain.data import TRANSFORMS
from cnntrain.data.batch import Batching
from cnntrain.data.loaders import make_loader, make_pipelines
from cnntrain.data.mixing import MixedLoader
from cnntrain.data.preview import first_images
from cnntrain.data.splits import Splits
from cnntrain.fit.folds import is_cross_validation
from cnntrain.model.evaluate import Evaluated
from cnntrain.model.images import every_split, spread
from cnntrain.model.model import Model
from cnntrain.record.metrics_rows import MetricsRow, row_in_json
from cnntrain.runs.folder import RunFolder
from cnntrain.runs.locate import find_run, run_file_at
from cnntrain.runs.records import read_json, read_text
from cnntrain.show.pixels import Pixels, photographs

EXAMPLES = 8
"""Augmented training images that are shown."""


@dataclass(frozen=True)
class Subject:
    """A network with all that its card says.

    Args:
        named: what the user calls it on the command line.
        run: its folder; None for a checkpoint outside of one, and for a run file.
        rows: of metrics.jsonl.
        recorded: of them, the last result of these weights: on test images, else validation.
        summary, environment: of the run; empty where there is none.
        run_file: its text, with its comments.
        splits: the images; None where they are not at hand.
        examples: training images as the network saw them, with their targets.
        evaluated: the network on a split; None where that is not at hand, or would take too long.
        missing: what the card lacks, and why, in sentences.
    """

    named: Path
    model: Model
    run: RunFolder | None
    rows: Sequence[MetricsRow]
    recorded: Mapping[str, Any]
    summary: Mapping[str, Any]
    environment: Mapping[str, Any]
    run_file: str
    splits: Splits | None
    examples: tuple[Pixels, tuple[str, ...]] | None
    evaluated: Evaluated | None
    missing: tuple[str, ...]


def run_of(path: Path) -> RunFolder | None:
    """The folder of the run that a path means.

    Raises:
        UsageError: it is a cross-validation, or nothing is there.
    """
    if is_cross_validation(path):
        runs = sorted(each.name for each in path.iterdir() if (each / "checkpoints").is_dir())
        remedy = f"give one of them: {path / runs[0]}" if runs else "train its folds first"
        raise UsageError(f"{path} holds the runs of a cross-validation, not one run", remedy=remedy)
    return find_run(path).run if run_file_at(path) is None else None


def look_at(
    model: Model,
    run: RunFolder | None,
    *,
    named: Path,
    split: Split | None = None,
    patience: float | None = None,
) -> Subject:
    """Evaluate a network and collect what its run has written down.

    Args:
        model: the network.
        run: its folder.
        named: what the user calls it.
        split: the test set if there is one, else validation, else training.
        patience: seconds; the network is not evaluated where the run took longer for it. None: it
            always is.

    Raises:
        UsageError: there is no such split.
        CheckpointError: the data are of other classes.
        DivergedError: the network's outputs are not finite.
    """
    missing: list[str] = []
    rows: Sequence[MetricsRow] = ()
    summary: Mapping[str, Any] = {}
    environment: Mapping[str, Any] = {}
    run_file = model.loaded.document.text
    if run is not None:
        rows = _kept(_rows, run.metrics_jsonl, rows, missing)
        summary = _kept(read_json, run.summary, summary, missing)
        environment = _kept(read_json, run.environment, environment, missing)
        run_file = _kept(read_text, run.config_input, run_file, missing)
    recorded = _recorded(rows, epoch=model.epoch)
    splits, examples, evaluated = None, None, None
    try:
        splits = every_split(model.loaded)
        examples = _examples(model, splits)
        took = _seconds([recorded, *(row.values for row in rows if row.kind == "epoch")])
        if patience is None or took <= patience:
            evaluated = model.evaluate(split)
        else:
            what = "Figures per class, mistakes and calibration: an evaluation takes"
            missing.append(f"{what} {took:.0f} s, so it is left to `cnntrain report {named}`.")
    except DataError as error:
        where = "; where they have moved, add `-s data.root=FOLDER`"
        missing.append(f"Everything that needs the images: {error.problems[0].message}{where}.")
    return Subject(named, model, run, rows, recorded, summary, environment, run_file,
                   splits, examples, evaluated, tuple(missing))  # fmt: skip


T = TypeVar("T")


def _kept(read: Callable[[Path], T], path: Path, otherwise: T, missing: list[str]) -> T:
    """What a file of the run says; where it cannot be read, that is said."""
    try:
        return read(path)
    except CheckpointError as error:
        missing.append(f"{error.problems[0].message}.")
        return otherwise


def _rows(path: Path) -> Sequence[MetricsRow]:
    return [row for row in map(row_in_json, read_text(path).split("\n")) if row is not None]


def _recorded(rows: Sequence[MetricsRow], *, epoch: int) -> Mapping[str, Any]:
    found = [row for row in rows if row.kind == "evaluation"]
    tests = [row.values for row in found if row.split == "test"]
    own = [row.values for row in found if row.epoch == epoch and row.split == "validation"]
    return next(iter([*tests[::-1], *own[::-1]]), {})


def _seconds(measured: Sequence[Mapping[str, Any]]) -> float:
    """That an evaluation takes about: an epoch at the most, where none was measured."""
    found = (each.get("seconds") for each in measured)
    return float(next((each for each in found if isinstance(each, int | float)), 0.0))


def _examples(model: Model, splits: Splits) -> tuple[Pixels, tuple[str, ...]]:
    """A few training images of different classes, as the training transforms draw them."""
    config, train = model.loaded.config, splits.train
    learnt = {
        s["name"]: s for s in model.eval_steps if TRANSFORMS.entry(s["name"]).options.get("scales")
    }
    steps = tuple(
        {"name": call.name, **call.parameters, **learnt.get(call.name, {})}
        for call in config.data.transforms.train
    )
    pipeline = make_pipelines({"train": steps}, form=splits.form)["train"]
    few = train.select(torch.tensor(spread(train.targets, EXAMPLES)))
    batching = Batching(EXAMPLES, seed=config.seed, device=model.device)
    loader: Any = make_loader(
        few, pipeline, name="train", memory="stream", workers=0, batching=batching
    )
    if pipeline.mixings:
        loader = MixedLoader(loader, mixings=pipeline.mixings, seed=config.seed,
                             num_classes=len(splits.classes))  # fmt: skip
    images, targets = first_images(loader, epoch=1, count=EXAMPLES)
    names = tuple(splits.targets.say(target) for target in targets)
    return photographs(images, scaling=model.scaling), names
