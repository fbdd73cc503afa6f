"""A run that stopped and went on is the run that never stopped: every value, bit for bit."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cnntrain.checkpoint import load as load_checkpoint
from cnntrain.checkpoint import save, writer
from cnntrain.core.errors import CheckpointError, ConfigError, UsageError
from cnntrain.fit.fit import Outcome

Train = Callable[..., Outcome]
Differences = Callable[[Path, Path], list[str]]
RunFile = Callable[..., Path]

EVERYTHING = {
    "train.ema": {"decay": 0.9},
    "train.schedule": {"name": "plateau", "patience": 1},
    "train.loss": {"name": "cross_entropy", "label_smoothing": 0.1},
    "train.clip_norm": 1.0,
}

SMALL_DATA = {
    "data.sampling": "balanced",
    "data.transforms": {
        "train": ["rand_augment", "zca", {"mixup": {"probability": 0.5}},
                  {"cutmix": {"probability": 0.5}}],
        "eval": ["zca"],
    },
    "train.accumulate": 2,
    "train.loss": {"name": "cross_entropy", "label_smoothing": 0.1, "class_weights": [1, 2, 3]},
}  # fmt: skip


def rows(run: Path) -> list[dict[str, Any]]:
    text = (run / "metrics.jsonl").read_text()
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def each_once(run: Path, *, steps: int, epochs: int) -> None:
    """Each step, epoch and evaluation stands exactly once in metrics.jsonl and metrics.csv."""
    found = Counter((row["type"], row.get("split"), row["step"]) for row in rows(run))
    wanted = {("step", None, step) for step in range(1, steps + 1)}
    wanted |= {("epoch", None, steps // epochs * epoch) for epoch in range(1, epochs + 1)}
    wanted |= {
        ("evaluation", "validation", steps // epochs * epoch) for epoch in range(1, epochs + 1)
    }
    wanted |= {("evaluation", "test", steps)}
    assert found == Counter(wanted)
    header, *table = (run / "metrics.csv").read_text().splitlines()
    assert header.startswith("epoch,step")
    assert [int(line.split(",")[0]) for line in table] == list(range(1, epochs + 1))


@pytest.mark.parametrize(
    "changes", [{}, EVERYTHING, SMALL_DATA], ids=["plain", "everything", "small data"]
)
def test_two_and_two_epochs_are_four(
    run_file: RunFile, train_tiny: Train, differences: Differences, tmp_path: Path, changes: Any
) -> None:
    file = run_file(changes)
    train_tiny(file, out=tmp_path / "whole")
    train_tiny(file, out=tmp_path / "parts", overrides=["train.epochs=2"])
    outcome = train_tiny(resumed=tmp_path / "parts", overrides=["train.epochs=4"])
    assert outcome.exit_code == 0
    for name in ("last.pt", "best.pt"):
        whole, parts = (tmp_path / run / "checkpoints" / name for run in ("whole", "parts"))
        assert differences(whole, parts) == []
    each_once(tmp_path / "whole", steps=20, epochs=4)


@pytest.mark.parametrize("large", [writer.LARGE, 0], ids=["at once", "by a thread"])
def test_stopped_twice_within_an_epoch(
    run_file: RunFile,
    train_tiny: Train,
    differences: Differences,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    large: int,
) -> None:
    monkeypatch.setattr(writer, "LARGE", large)
    file = run_file({**EVERYTHING, "record.tensorboard": True})
    train_tiny(file, out=tmp_path / "whole")
    run = tmp_path / "parts"
    assert train_tiny(file, out=run, stop=7).exit_code == 130
    assert train_tiny(resumed=run, stop=9).exit_code == 130
    assert train_tiny(resumed=run).exit_code == 0
    for name in ("last.pt", "previous.pt", "best.pt"):
        ours, theirs = (run / "checkpoints" / name, tmp_path / "whole" / "checkpoints" / name)
        assert differences(ours, theirs) == []
    each_once(run, steps=20, epochs=4)
    whole = [row for row in rows(tmp_path / "whole") if row["type"] == "epoch"]
    parts = [row for row in rows(run) if row["type"] == "epoch"]
    for name in ("train_loss", "train_error", "validation_loss", "validation_error", "images"):
        assert [row[name] for row in parts] == [row[name] for row in whole]
    steps = tensorboard_steps(run / "tb" / "train", "step/loss")
    assert steps == list(range(1, 21))
    assert tensorboard_steps(run / "tb" / "validation", "error") == [5, 10, 15, 20]


def tensorboard_steps(folder: Path, tag: str) -> list[int]:
    """As TensorBoard's own reader sees them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder))
    reader.Reload()
    return [point.step for point in reader.Scalars(tag)]


@pytest.mark.parametrize(
    "changes",
    [
        {"compute.precision": "bfloat16"},
        {"compute.precision": "float16"},
        {"compute.channels_last": True},
        {"compute.channels_last": False},
        {"compute.deterministic": True},
        {"train.accumulate": 2},
        {"train.optimizer": {"name": "adamw", "lr": 0.01}},
        {"train.schedule": {"name": "cosine", "warmup_epochs": 1}},
        {"train.optimizer": {"name": "rmsprop", "lr": 0.01, "momentum": 0.5, "centered": True}},
        {"train.optimizer": {"name": "lion", "lr": 0.001}},
        {"train.optimizer": {"name": "muon", "lr": 0.01}},
        {"train.optimizer": {"name": "lamb", "lr": 0.01}},
        {"train.schedule": {"name": "cosine_restarts", "first_epochs": 0.5}},
    ],
    ids=str,
)
def test_each_option_resumes(
    run_file: RunFile, train_tiny: Train, differences: Differences, tmp_path: Path, changes: Any
) -> None:
    file = run_file({"train.epochs": 2, **changes})
    train_tiny(file, out=tmp_path / "whole")
    train_tiny(file, out=tmp_path / "parts", stop=3)
    train_tiny(resumed=tmp_path / "parts")
    whole, parts = (tmp_path / run / "checkpoints/last.pt" for run in ("whole", "parts"))
    assert differences(whole, parts) == []


FOLDER = {
    "train.epochs": 2,
    "data": {
        "name": "image_folder",
        "root": "images",
        "batch_size": 8,
        "memory": "stream",
        "workers": 2,
        "transforms": {
            "train": [{"random_resized_crop": {"size": 8}}, "horizontal_flip", "normalize"],
            "eval": [{"resize": {"size": [8, 8]}}, "normalize"],
        },
    },
}


@pytest.mark.usefixtures("image_folder")
def test_images_from_workers_resumed_without_workers(
    run_file: RunFile, train_tiny: Train, differences: Differences, tmp_path: Path
) -> None:
    file = run_file(FOLDER)
    train_tiny(file, out=tmp_path / "whole")
    train_tiny(file, out=tmp_path / "parts", stop=2)
    train_tiny(resumed=tmp_path / "parts", overrides=["data.workers=0"])
    whole, parts = (tmp_path / run / "checkpoints/last.pt" for run in ("whole", "parts"))
    assert differences(whole, parts) == ["config"]  # which says workers: 0


def test_more_epochs_say_what_the_schedule_does(
    run_file: RunFile, train_tiny: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = run_file({"train.epochs": 2, "train.schedule": {"name": "cosine"}})
    train_tiny(file, out=tmp_path / "run")
    train_tiny(resumed=tmp_path / "run", overrides=["train.epochs=3"], quiet=False)
    said = capsys.readouterr().err
    # cosine, half way through: 0.05 * (1 + cos(pi * 10 / 15)) / 2 = 0.0125
    assert "3 epochs instead of 2" in said
    assert "next learning rate is 0.0125" in said
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["epoch"] == 3


def test_a_finished_run_is_refused_with_the_remedy(
    run_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    train_tiny(run_file({"train.epochs": 1}), out=tmp_path / "run")
    with pytest.raises(UsageError, match=r"has done all of its 1 epochs; .*--epochs 2"):
        train_tiny(resumed=tmp_path / "run")


def test_fewer_epochs_than_are_done_are_refused(
    run_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    train_tiny(run_file(), out=tmp_path / "run", stop=12)
    with pytest.raises(UsageError, match="has done 2 epochs already, so it cannot end after 1"):
        train_tiny(resumed=tmp_path / "run", overrides=["train.epochs=1"])


def test_an_early_stopped_run_is_refused_unless_patience_is_raised(
    run_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    changes = {"train.early_stop": {"patience": 1, "min_delta": 0.9}}
    outcome = train_tiny(run_file(changes), out=tmp_path / "run")
    assert outcome.done is not None
    assert outcome.done.reason == "early stop"
    with pytest.raises(UsageError, match=r"stopped early .*train.early_stop.patience=2"):
        train_tiny(resumed=tmp_path / "run", overrides=["train.epochs=8"])
    longer = ["train.epochs=8", "train.early_stop.patience=2"]
    outcome = train_tiny(resumed=tmp_path / "run", overrides=longer)
    assert outcome.done is not None
    assert outcome.done.epoch == 3


def test_a_change_that_makes_another_run_is_refused(
    run_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    train_tiny(run_file(), out=tmp_path / "run", stop=2)
    with pytest.raises(UsageError, match=r"train.optimizer.lr cannot change .*train.epochs"):
        train_tiny(resumed=tmp_path / "run", overrides=["train.optimizer.lr=1"])
    with pytest.raises(ConfigError, match="epochs"):
        train_tiny(resumed=tmp_path / "run", overrides=["train.epochs=many"])


def test_other_classes_are_refused(
    run_file: RunFile, train_tiny: Train, tmp_path: Path, image_folder: Path
) -> None:
    train_tiny(run_file(FOLDER), out=tmp_path / "run", stop=2, overrides=["data.workers=0"])
    for split in ("train", "val"):
        (image_folder / split / "cat").rename(image_folder / split / "cow")
    with pytest.raises(CheckpointError, match=r"other classes .* cow, dog instead of cat, dog"):
        train_tiny(resumed=tmp_path / "run")


def test_other_statistics_are_refused(
    run_file: RunFile, train_tiny: Train, tmp_path: Path, image_folder: Path
) -> None:
    train_tiny(run_file(FOLDER), out=tmp_path / "run", stop=2, overrides=["data.workers=0"])
    Image.new("RGB", (12, 10), (255, 255, 255)).save(image_folder / "train" / "cat" / "0.png")
    with pytest.raises(CheckpointError, match="other statistics"):
        train_tiny(resumed=tmp_path / "run")


def test_another_number_of_images_is_refused(
    run_file: RunFile, train_tiny: Train, tmp_path: Path, image_folder: Path
) -> None:
    given = {**FOLDER, "data": {**FOLDER["data"], "workers": 0}}  # type: ignore[dict-item]
    numbers = {"normalize": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    given["data"]["transforms"] = {
        split: [{"resize": {"size": [8, 8]}}, numbers] for split in ("train", "eval")
    }
    train_tiny(run_file(given), out=tmp_path / "run", stop=2)
    for name in ("cat", "dog"):
        Image.new("RGB", (12, 10)).save(image_folder / "train" / name / "new.png")
    with pytest.raises(CheckpointError, match="26 training images instead of 24"):
        train_tiny(resumed=tmp_path / "run")


def test_a_damaged_last_checkpoint_falls_back_and_says_so(
    run_file: RunFile,
    train_tiny: Train,
    differences: Differences,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = run_file({"train.epochs": 3})
    train_tiny(file, out=tmp_path / "whole")
    run = tmp_path / "run"
    train_tiny(file, out=run, stop=12)
    last = run / "checkpoints" / "last.pt"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 0xFF
    last.write_bytes(content)
    capsys.readouterr()
    train_tiny(resumed=run, quiet=False)
    said = capsys.readouterr().err
    assert f"{last} is damaged" in said
    assert "resuming from" in said
    assert "previous.pt" in said
    assert differences(tmp_path / "whole" / "checkpoints/last.pt", last) == []
    each_once(run, steps=15, epochs=3)


def test_a_last_checkpoint_that_is_older_than_the_one_before_is_noticed(
    run_file: RunFile,
    train_tiny: Train,
    differences: Differences,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = run_file({"train.epochs": 3})
    train_tiny(file, out=tmp_path / "whole")
    run = tmp_path / "run"
    train_tiny(file, out=run, stop=12)
    last, previous = (run / "checkpoints" / name for name in ("last.pt", "previous.pt"))
    contents = last.read_bytes(), previous.read_bytes()
    previous.write_bytes(contents[0])
    last.write_bytes(contents[1])
    capsys.readouterr()
    train_tiny(resumed=run, quiet=False)
    said = capsys.readouterr().err
    assert f"{last} was saved before previous.pt; resuming from {previous}" in said
    assert "step 12" in said
    assert differences(tmp_path / "whole" / "checkpoints/last.pt", last) == []


def test_no_sound_checkpoint_at_all(run_file: RunFile, train_tiny: Train, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train_tiny(run_file(), out=run, stop=2)
    for name in ("last.pt", "previous.pt"):
        (run / "checkpoints" / name).write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"no checkpoint to load .*is empty.*is empty"):
        train_tiny(resumed=run)


def test_the_best_is_kept_across_a_resume(
    run_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train_tiny(run_file(), out=run, stop=10)
    last = run / "checkpoints" / "last.pt"
    state = load_checkpoint(last)
    position = state["train"]
    assert isinstance(position, dict)
    # as if epoch 1 had been perfect: what follows is never better
    position |= {"best_epoch": 1, "best_error": 0.0, "best_loss": 0.0}
    save(last, state)
    before = (run / "checkpoints" / "best.pt").read_bytes()
    outcome = train_tiny(resumed=run)
    assert outcome.done is not None
    assert (outcome.done.best_epoch, outcome.done.best_value) == (1, 0.0)
    assert (run / "checkpoints" / "best.pt").read_bytes() == before


def test_resuming_needs_a_run_of_ones_own(
    run_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    train_tiny(run_file({"train.epochs": 1}), out=tmp_path / "run")
    stray = tmp_path / "stray.pt"
    stray.write_bytes((tmp_path / "run" / "checkpoints" / "last.pt").read_bytes())
    with pytest.raises(UsageError, match="lies in no run's folder"):
        train_tiny(resumed=stray)


def test_resuming_from_the_best_checkpoint_goes_back_in_time(
    run_file: RunFile, train_tiny: Train, differences: Differences, tmp_path: Path
) -> None:
    file = run_file({"train.epochs": 3})
    train_tiny(file, out=tmp_path / "whole")
    run = tmp_path / "run"
    train_tiny(file, out=run)
    train_tiny(resumed=run / "checkpoints" / "previous.pt")
    ours, theirs = (run / "checkpoints/last.pt", tmp_path / "whole" / "checkpoints/last.pt")
    assert differences(ours, theirs) == []
    each_once(run, steps=15, epochs=3)
