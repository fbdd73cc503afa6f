"""`record.best_weights_only`: a best.pt of weights alone does all that one does but resume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cnntrain.checkpoint import load as load_checkpoint
from cnntrain.checkpoint import writer
from cnntrain.core.errors import CheckpointError
from cnntrain.fit.fit import Outcome
from cnntrain.model.opening import open_model
from cnntrain.runs.folder import RunFolder

Train = Callable[..., Outcome]
Differences = Callable[[Path, Path], list[str]]
RunFile = Callable[..., Path]

ALONE = {"record.best_weights_only": True}
TO_RESUME = {"optimizer", "scaler", "start", "random", "window", "good"}
WIDE = [
    "flatten",
    {"linear": {"out": 4000}},
    "relu",
    {"linear": {"out": "$num_classes"}, "as": "output"},
]
PARAMETERS = 64 * 4000 + 4000 + 4000 * 3 + 3
ADAM = {"name": "adam", "lr": 0.01}


@pytest.mark.parametrize(
    ("changes", "kept", "of"),
    [
        ({}, 1, 2),  # weights and velocities
        ({"train.optimizer": ADAM}, 1, 3),  # weights and two moments
        ({"train.ema": {"decay": 0.9}}, 1, 3),  # weights, their average, velocities
    ],
    ids=["momentum", "adam", "ema"],
)
def test_its_bytes_are_those_of_the_weights_that_were_evaluated(
    run_file: RunFile, train_tiny: Train, tmp_path: Path, changes: Any, kept: int, of: int
) -> None:
    file = run_file({"arch.layers": WIDE, "train.epochs": 1, **ALONE, **changes})
    run = RunFolder(train_tiny(file, out=tmp_path / "run").run.path)
    best, last = run.best.stat().st_size, run.last.stat().st_size
    assert not run.best.samefile(run.last)
    around = 40_000  # names, run file, random states, records of the zip file
    assert kept * 4 * PARAMETERS < best < kept * 4 * PARAMETERS + around
    assert of * 4 * PARAMETERS < last < of * 4 * PARAMETERS + around


@pytest.mark.parametrize("ema", [None, {"decay": 0.9}])
def test_the_run_is_the_same_and_so_is_what_is_made_of_its_best(
    run_file: RunFile, train_tiny: Train, tmp_path: Path, ema: object
) -> None:
    """Compared with the same run without the key: weights, evaluation, and a run from them."""
    found = []
    for name, changes in (("whole", {}), ("alone", ALONE)):
        out = tmp_path / name
        outcome = train_tiny(run_file({"train.ema": ema, **changes}, name=name), out=out)
        assert open_model(out).evaluate().metrics == outcome.test
        finetune = {"finetune.weights": {"run": str(out)}, "train.epochs": 1}
        tuned = train_tiny(run_file(finetune, name="tuned"), out=tmp_path / f"{name} tuned")
        found.append((outcome.test, tuned.test, load_checkpoint(RunFolder(out).best)))
    whole, alone = found
    assert whole[:2] == alone[:2]
    left_out = TO_RESUME | ({"model"} if ema else set())
    assert whole[2].keys() - alone[2].keys() == left_out
    part = "ema" if ema else "model"
    assert all(torch.equal(value, whole[2][part][key]) for key, value in alone[2][part].items())


@pytest.mark.parametrize("large", [writer.LARGE, 0])
def test_a_resumed_run_keeps_writing_it_so(
    run_file: RunFile,
    train_tiny: Train,
    differences: Differences,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    large: int,
) -> None:
    monkeypatch.setattr(writer, "LARGE", large)
    file = run_file({"train.ema": {"decay": 0.9}, "train.recalibrate": True, **ALONE})
    train_tiny(file, out=tmp_path / "whole")
    train_tiny(file, out=tmp_path / "run", stop=7)
    train_tiny(resumed=tmp_path / "run", stop=13)
    train_tiny(resumed=tmp_path / "run")
    for name in ("best.pt", "last.pt"):
        both = (tmp_path / run / "checkpoints" / name for run in ("whole", "run"))
        assert differences(*both) == []
    assert not load_checkpoint(RunFolder(tmp_path / "run").best).keys() & TO_RESUME


def test_the_key_may_change_when_a_run_resumes(
    run_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    train_tiny(run_file({"train.select": "last"}), out=run.path, stop=7)
    assert "optimizer" in load_checkpoint(run.best)
    train_tiny(resumed=run.path, overrides=["record.best_weights_only=true"])
    assert "optimizer" not in load_checkpoint(run.best)
    assert "optimizer" in load_checkpoint(run.last)


def test_resuming_from_it_is_refused_with_what_to_resume_from(
    run_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    train_tiny(run_file({"train.select": "last", **ALONE}), out=run.path, stop=7)
    with pytest.raises(CheckpointError) as refused:
        train_tiny(resumed=run.best)
    (problem,) = refused.value.problems
    assert refused.value.exit_code == 4
    assert problem.message == (
        f"{run.best} holds the weights of epoch 1 alone, without what a training resumes with "
        "(record.best_weights_only)"
    )
    assert problem.remedy == f"resume from last.pt: cnntrain fit --resume {run.last}"
    run.best.rename(run.last)
    with pytest.raises(CheckpointError, match=r"last\.pt holds the weights of epoch 1 alone"):
        train_tiny(resumed=run.path)
    train_tiny(resumed=run.previous)
    assert load_checkpoint(run.last)["train"]["epoch"] == 4  # type: ignore[index,call-overload]


def test_without_validation_images_a_recalibrated_best_is_of_weights_alone(
    run_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    """Then best.pt is made of the last state."""
    changes = {"data.split.validation": None, "train.recalibrate": True, **ALONE}
    train_tiny(run_file(changes), out=tmp_path / "run")
    assert not load_checkpoint(RunFolder(tmp_path / "run").best).keys() & TO_RESUME
