"""Evaluating the network of a checkpoint on a split of its data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cnntrain.core.errors import CheckpointError, UsageError
from cnntrain.data.open import Data
from cnntrain.metrics import Classification
from cnntrain.run.assemble import (
    apply_threads,
    choose_device,
    make_criterion,
    only_these,
    open_run_data,
    place,
    reading,
)
from cnntrain.run.finding import find_run
from cnntrain.run.saved import Trained, load_trained
from cnntrain.train import evaluate, make_deterministic

Split = Literal["train", "validation", "test"]

CHANGEABLE = ("data", "compute.device", "compute.threads", "plugins")
"""What `-s` may change: where things are and how images are read, not how they are prepared."""


@dataclass(frozen=True)
class Evaluated:
    """The result of an evaluation, and what was evaluated."""

    trained: Trained
    split: Split
    metrics: Classification


def evaluate_run(
    path: Path, *, split: Split | None = None, overrides: Sequence[str] = ()
) -> Evaluated:
    """Classify a split with the best weights of a run, as they were evaluated while training.

    Preprocessing and classes come from the checkpoint, so the result is the logged one.

    Args:
        path: a run's folder, `runs/NAME` for its latest, or a checkpoint file.
        split: the test set if there is one, else validation.
        overrides: changes; see `CHANGEABLE`.

    Raises:
        CheckpointError: the checkpoint is missing, damaged, or of other classes.
        UsageError: there is no such split.
    """
    only_these(list(overrides), allowed=CHANGEABLE, doing="a checkpoint is evaluated")
    if any(text.startswith("data.transforms") for text in overrides):
        raise UsageError(
            "-s data.transforms cannot change when a checkpoint is evaluated",
            remedy="images are prepared as the checkpoint says; for others train a new run",
        )
    trained = load_trained(find_run(path).to_evaluate(), overrides=list(overrides))
    compute = trained.loaded.config.compute
    apply_threads(compute)
    make_deterministic(compute.deterministic)
    device = choose_device(compute, trained.loaded)
    data = open_run_data(trained.loaded, device=device, eval_steps=trained.eval_steps)
    check_classes(trained, data)
    loaders = {"test": data.test, "validation": data.validation, "train": data.train}
    chosen: Split = split or ("test" if data.test else "validation" if data.validation else "train")
    loader = loaders[chosen]
    if loader is None:
        there = ", ".join(name for name, loader in loaders.items() if loader is not None)
        raise UsageError(f"the data have no {chosen} split", remedy=f"there is: {there}")
    place(trained.net, compute=compute, device=device)
    criterion = make_criterion(trained.loaded, data=data, device=device)
    with reading(data, trained.loaded):
        metrics = evaluate(trained.net, loader, criterion=criterion, precision=compute.precision)
    return Evaluated(trained, chosen, metrics)


def check_classes(trained: Trained, data: Data) -> None:
    """Refuse data of other classes, or of another order, than those of the checkpoint.

    Raises:
        CheckpointError: they differ.
    """
    if data.classes == trained.classes:
        return
    unknown = sorted(set(data.classes) - set(trained.classes))
    missing = sorted(set(trained.classes) - set(data.classes))
    parts = [f"unknown to the network: {', '.join(unknown[:6])}"] if unknown else []
    parts += [f"not in the data: {', '.join(missing[:6])}"] if missing else []
    raise CheckpointError(
        f"the data have other classes than {trained.path} "
        f"({'; '.join(parts) or 'the same ones in another order'})",
        remedy="give the data it was trained for, or list `data.classes` in its order",
    )
