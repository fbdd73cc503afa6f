"""A checkpoint in the folder of another run is refused wherever it is opened; no other one is."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cnntrain.checkpoint import load as load_checkpoint
from cnntrain.checkpoint import save
from cnntrain.core.errors import CheckpointError
from cnntrain.fit.fit import Outcome
from cnntrain.model.opening import open_model, plan_of_run
from cnntrain.runs.contents import contents_to_evaluate
from cnntrain.runs.locate import find_run

Train = Callable[..., Outcome]
RunFile = Callable[..., Path]
FOREIGN = r"is not a checkpoint of the run in .*train\.optimizer\.lr is 0\.05 in config\.yaml and "


@pytest.fixture
def runs(run_file: RunFile, train_tiny: Train, tmp_path: Path) -> tuple[Path, Path]:
    """Two of the same name and seed, that differ in the learning rate."""
    short = {"train.epochs": 2}
    train_tiny(run_file(short), out=tmp_path / "one")
    train_tiny(
        run_file({**short, "train.optimizer": {"name": "sgd", "lr": 0.2}}), out=tmp_path / "two"
    )
    return tmp_path / "one", tmp_path / "two"


def swap_in(name: str, runs: tuple[Path, Path]) -> Path:
    one, two = runs
    shutil.copy(two / "checkpoints" / name, one / "checkpoints" / name)
    return one / "checkpoints" / name


def test_last_of_another_run(runs: tuple[Path, Path], train_tiny: Train) -> None:
    last = swap_in("last.pt", runs)
    content = last.read_bytes()
    with pytest.raises(CheckpointError, match=FOREIGN + r"0\.2 in last\.pt"):
        train_tiny(resumed=runs[0], overrides=["train.epochs=3"])
    with pytest.raises(CheckpointError, match=FOREIGN):
        plan_of_run(last)
    (runs[0] / "checkpoints" / "best.pt").unlink()
    with pytest.raises(CheckpointError, match=FOREIGN):
        open_model(runs[0])
    assert last.read_bytes() == content  # it may be the only copy


def test_best_of_another_run(runs: tuple[Path, Path], train_tiny: Train, run_file: RunFile) -> None:
    best = swap_in("best.pt", runs)
    content = best.read_bytes()
    with pytest.raises(CheckpointError, match=FOREIGN + r"0\.2 in best\.pt"):
        open_model(runs[0])
    with pytest.raises(CheckpointError, match=FOREIGN):
        train_tiny(resumed=runs[0], overrides=["train.epochs=3"])
    weights = {"finetune.weights": {"run": str(runs[0])}}
    with pytest.raises(CheckpointError, match=FOREIGN):
        train_tiny(run_file(weights, name="tuned"))
    assert best.read_bytes() == content


def test_the_other_copy_opens_elsewhere(runs: tuple[Path, Path], tmp_path: Path) -> None:
    swap_in("best.pt", runs).rename(tmp_path / "best.pt")
    assert open_model(tmp_path / "best.pt").epoch in (1, 2)


def test_last_in_the_place_of_best(runs: tuple[Path, Path]) -> None:
    best = runs[0] / "checkpoints" / "best.pt"
    state = load_checkpoint(best)
    epoch = state["train"]["best_epoch"]
    save(best, {**state, "train": {**state["train"], "epoch": epoch + 1}})
    wanted = f"not hold the best weights: it is of epoch {epoch + 1}, and says that those of epoch "
    with pytest.raises(CheckpointError, match=f"{wanted}{epoch} are"):
        open_model(runs[0])


def test_an_earlier_best_is_noted(run_file: RunFile, train_tiny: Train, tmp_path: Path) -> None:
    """Two of one run cannot be told apart by their run file; summary.json names the best epoch."""
    run = tmp_path / "run"
    train_tiny(run_file({"train.epochs": 1}), out=run)
    first = (run / "checkpoints" / "best.pt").read_bytes()
    train_tiny(resumed=run, overrides=["train.epochs=3"])
    best = load_checkpoint(run / "checkpoints" / "best.pt")["train"]["epoch"]
    assert contents_to_evaluate(find_run(run)).notes == ()
    (run / "checkpoints" / "best.pt").write_bytes(first)
    assert best > 1
    notes = contents_to_evaluate(find_run(run)).notes
    assert notes == (f"{run}/checkpoints/best.pt is of epoch 1; summary.json says {best}",)


def test_what_may_change_in_a_resume_is_no_other_run(
    run_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    """best.pt keeps the run file of before: other epochs, another place of the folder."""
    run = tmp_path / "run"
    train_tiny(run_file({"train.epochs": 1}), out=run)
    first = (run / "checkpoints" / "best.pt").read_bytes()
    changes = [
        "train.epochs=2",
        "data.workers=0",
        "record.every=2",
        "train.early_stop={patience: 9}",
    ]
    train_tiny(resumed=run, overrides=changes)
    (run / "checkpoints" / "best.pt").write_bytes(first)
    moved = run.rename(tmp_path / "moved")
    assert open_model(moved).epoch == 1
    train_tiny(resumed=moved, overrides=["train.epochs=3"])


def test_keys_that_an_older_version_did_not_have_are_no_difference(
    run_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    """config.yaml is written again by a newer version when a run resumes, and best.pt is not."""
    run = tmp_path / "run"
    train_tiny(run_file({"train.epochs": 1}), out=run)
    best = run / "checkpoints" / "best.pt"
    state = load_checkpoint(best)
    older = state["config"].replace("  sampling: natural\n", "").replace(", fill: zero", "")
    assert older != state["config"]
    save(best, {**state, "config": older})
    assert open_model(run).epoch == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"a: [\n",
            r"config\.yaml:\d+:\d+: not valid YAML: .*; the run file in .*best\.pt is used",
        ),
        (
            b"a: \xff",
            r"config\.yaml:1:4: not UTF-8 text: .*; the run file in .*best\.pt is used",
        ),
        (b"7\n", r"config\.yaml is not a run file; the one in .*best\.pt is used"),
        (None, ""),
    ],
)
def test_a_damaged_config_yaml_is_said(
    runs: tuple[Path, Path], content: bytes | None, said: str, train_tiny: Train
) -> None:
    config = runs[0] / "config.yaml"
    before = config.read_text()
    config.unlink()
    if content is not None:
        config.write_bytes(content)
    assert re.fullmatch(f".*{said}" if said else "", "; ".join(open_model(runs[0]).loaded.notes))
    train_tiny(resumed=runs[0], overrides=["train.epochs=3"])
    assert config.read_text() == before.replace("epochs: 2", "epochs: 3")
