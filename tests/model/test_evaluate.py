"""Evaluating a run gives exactly what was logged while it was trained."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from cnntrain.checkpoint import load as load_checkpoint
from cnntrain.checkpoint import save
from cnntrain.core.errors import CheckpointError, UsageError
from cnntrain.fit.fit import Outcome
from cnntrain.model.evaluate import Evaluated
from cnntrain.model.opening import open_model

Train = Callable[..., Outcome]


def evaluated(path: Path, *, split: Any = None, overrides: Sequence[str] = ()) -> Evaluated:
    return open_model(path, overrides=overrides).evaluate(split)


@pytest.fixture
def trained(run_file: Callable[..., Path], train_tiny: Train, tmp_path: Path) -> Path:
    """A run of two epochs in `runs/tiny/...`, validated and tested with averaged weights."""
    changes = {"train.epochs": 2, "train.ema": {"decay": 0.9}, "compute.channels_last": True}
    return train_tiny(run_file(changes)).run.path


def logged(run: Path, split: str, epoch: int) -> dict[str, Any]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    [row] = [row for row in rows if row.get("split") == split and row["epoch"] == epoch]
    return dict(row)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_result_is_the_logged_one(trained: Path, split: Any) -> None:
    summary = json.loads((trained / "summary.json").read_text())
    row = logged(trained, split, summary["best_epoch"])
    found = evaluated(trained, split=split).metrics
    assert found.correct == row["correct"]
    assert found.loss == row["loss"]
    assert found.error == row["error"]
    assert found.images == row["images"]


def test_a_run_is_found_by_folder_name_and_checkpoint(trained: Path) -> None:
    ways = [
        trained,
        Path("runs/tiny"),
        Path("runs/tiny/latest"),
        trained / "checkpoints" / "best.pt",
    ]
    results = {evaluated(way).metrics for way in ways}
    assert len(results) == 1


def test_the_last_checkpoint_is_the_last_epoch(trained: Path) -> None:
    found = evaluated(trained / "checkpoints" / "last.pt", split="validation")
    assert found.model.epoch == 2
    assert found.metrics.loss == logged(trained, "validation", 2)["loss"]


def test_the_split_is_the_test_set_unless_said(trained: Path) -> None:
    assert evaluated(trained).split == "test"
    assert evaluated(trained).metrics.images == 30
    assert evaluated(trained, split="train").metrics.images == 72


def test_a_split_that_is_not_there(
    run_file: Callable[..., Path], train_tiny: Train, tmp_path: Path
) -> None:
    train_tiny(run_file({"train.epochs": 1, "data.test_images": 0}), out=tmp_path / "run")
    with pytest.raises(UsageError, match="no test split; there is: validation, train"):
        evaluated(tmp_path / "run", split="test")
    assert evaluated(tmp_path / "run").split == "validation"


def test_another_batch_size_gives_the_same_classes(trained: Path) -> None:
    usual, small = (
        evaluated(trained, overrides=overrides).metrics
        for overrides in ([], ["data.eval_batch_size=7"])
    )
    assert torch.equal(small.confusion, usual.confusion)


def test_what_would_be_another_network_cannot_change(trained: Path) -> None:
    with pytest.raises(UsageError, match="-s seed cannot change when a checkpoint is evaluated"):
        evaluated(trained, overrides=["seed=3"])


def test_the_preprocessing_cannot_change(trained: Path) -> None:
    with pytest.raises(UsageError, match="images are prepared as the checkpoint says"):
        evaluated(trained, overrides=["data.transforms.eval=[]"])


def test_other_classes_are_refused(trained: Path) -> None:
    with pytest.raises(CheckpointError, match="not in the data: class2"):
        evaluated(trained, overrides=["data.classes=2"])
    path = trained / "checkpoints" / "best.pt"
    state = load_checkpoint(path)
    state["classes"] = ["class1", "class0", "class2"]
    save(path, state)
    with pytest.raises(CheckpointError, match="the same ones in another order"):
        evaluated(path)


def damaged(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def foreign(path: Path) -> None:
    torch.save({"conv.weight": torch.zeros(3)}, path)


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"model": print}))


def whole_module(path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), path)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (damaged, "is damaged"),
        (foreign, "is a torch file but not a checkpoint of cnntrain"),
        (pickled, "can run code when it is read"),
        (whole_module, "holds more than plain values and tensors"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_text("weights"), "is not a checkpoint"),
    ],
    ids=["damaged", "foreign", "pickled", "whole module", "empty", "text"],
)
def test_what_is_no_checkpoint(trained: Path, spoil: Callable[[Path], None], says: str) -> None:
    path = trained / "checkpoints" / "best.pt"
    spoil(path)
    with pytest.raises(CheckpointError, match=says) as caught:
        evaluated(trained)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("missing", ["config", "classes", "transforms", "model"])
def test_a_checkpoint_without_a_part(trained: Path, missing: str) -> None:
    path = trained / "checkpoints" / "best.pt"
    state = load_checkpoint(path)
    del state[missing]
    if missing == "model":
        state["ema"] = None
    save(path, state)
    with pytest.raises(CheckpointError) as caught:
        evaluated(path)
    assert "\n" not in str(caught.value)


def test_weights_that_do_not_fit_their_own_architecture(trained: Path) -> None:
    path = trained / "checkpoints" / "best.pt"
    state = load_checkpoint(path)
    weights = state["ema"]
    assert isinstance(weights, dict)
    weights["output.weight"] = torch.zeros(5, 5)
    save(path, state)
    with pytest.raises(CheckpointError, match=r"output\.weight") as caught:
        evaluated(path)
    assert "\n" not in str(caught.value)


def test_no_checkpoint_yet(trained: Path) -> None:
    for file in (trained / "checkpoints").iterdir():
        file.unlink()
    with pytest.raises(CheckpointError, match="has no checkpoint"):
        evaluated(trained)
