"""What a run that was stopped or killed writes down is what it would have written in one go."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from math import nan
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from cnntrain.checkpoint import load as load_checkpoint
from cnntrain.checkpoint import save
from cnntrain.config.load import load
from cnntrain.fit.fit import Outcome, fit, resume
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.train import EpochDone, EvalDone, StepDone

Train = Callable[..., Outcome]
RunFile = Callable[..., Path]

TIMES = ("seconds", "images_per_second", "data_wait", "checkpoints", "peak_memory_bytes")
"""What is of the clock or of one process."""
CHANGES = {"record.every": 3, "record.tensorboard": True, "record.checkpoint_every": 5}
"""Five steps are an epoch, so that reports fall on other steps than its end."""


class KilledError(BaseException):
    """As SIGKILL: nothing is saved after it."""


class KillAt:
    """Kills at a step, after a validation or after an epoch; the checkpoint of that is written."""

    def __init__(self, kind: type, number: int) -> None:
        self.kind, self.number = kind, number

    def observe(self, event: Any) -> None:
        number = getattr(event, "step" if self.kind is StepDone else "epoch", None)
        if isinstance(event, self.kind) and number == self.number:
            raise KilledError

    def close(self) -> None:
        pass


def untimed(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key not in TIMES}


def rows(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def paper(run: Path) -> dict[str, Any]:
    """All that a run has written for people and programs, times aside."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    header, *table = ((run / "metrics.csv").read_text()).splitlines()
    names = header.split(",")
    board = {}
    for split in sorted(path.name for path in (run / "tb").iterdir()):
        reader = EventAccumulator(str(run / "tb" / split), size_guidance={"scalars": 0}).Reload()
        for tag in reader.Tags()["scalars"]:
            if not tag.endswith(TIMES):
                points = [(point.step, point.value) for point in reader.Scalars(tag)]
                board[f"{split}/{tag}"] = points
    return {
        "jsonl": [untimed(row) for row in rows(run)],
        "csv": [untimed(dict(zip(names, line.split(","), strict=True))) for line in table],
        "summary": untimed(json.loads((run / "summary.json").read_text())),
        "board": board,
    }


@pytest.mark.parametrize("stops", [(4,), (6,), (7, 8), (10,), (5, 15, 16, 17), (19,)], ids=str)
def test_of_a_run_that_was_stopped(
    run_file: RunFile, train_tiny: Train, tmp_path: Path, stops: tuple[int, ...]
) -> None:
    file = run_file(CHANGES)
    train_tiny(file, out=tmp_path / "whole")
    run = tmp_path / "parts"
    train_tiny(file, out=run, stop=stops[0])
    for stop in (*stops[1:], None):
        train_tiny(resumed=run, stop=stop)
    assert paper(run) == paper(tmp_path / "whole")


@pytest.mark.parametrize(
    "kills",
    [
        [(StepDone, 7)],  # from the checkpoint of step 5, the end of an epoch
        [(EvalDone, 2)],  # evaluated and written down, but the checkpoint is of before
        [(EpochDone, 1), (EvalDone, 2), (StepDone, 12), (StepDone, 14)],
        [(EvalDone, 4)],
    ],
    ids=["step", "evaluation", "several", "last evaluation"],
)
def test_of_a_run_that_was_killed(
    run_file: RunFile, train_tiny: Train, tmp_path: Path, kills: list[tuple[type, int]]
) -> None:
    file = run_file({**CHANGES, "record.checkpoint_every": 4})
    train_tiny(file, out=tmp_path / "whole")
    run = tmp_path / "parts"
    with pytest.raises(KilledError):
        fit(load(file), out=run, quiet=True, observers=[KillAt(*kills[0])])
    for kill in kills[1:]:
        with pytest.raises(KilledError):
            resume(run, quiet=True, observers=[KillAt(*kill)])
    train_tiny(resumed=run)
    assert paper(run) == paper(tmp_path / "whole")


ALL_THAT_DRAWS = {
    "train.epochs": 3,
    "train.ema": {"decay": 0.9},
    "train.schedule": {"name": "plateau", "patience": 1},
    "data": {
        "name": "image_folder",
        "root": "images",
        "batch_size": 8,
        "memory": "stream",
        "transforms": {
            "train": [{"random_resized_crop": {"size": 8}}, "rand_augment", "normalize",
                      {"mixup": {"probability": 0.5}}, {"cutmix": {"probability": 0.5}}],
            "eval": [{"resize": {"size": [8, 8]}}, "normalize"],
        },
    },
    "record": {"every": 2, "tensorboard": True},
}  # fmt: skip
"""With the dropout of the tiny network; three steps are an epoch."""


@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker")
@pytest.mark.usefixtures("image_folder")
@pytest.mark.parametrize("deterministic", [True, False])
def test_with_all_that_draws_and_any_number_of_workers(
    run_file: RunFile,
    train_tiny: Train,
    differences: Callable[[Path, Path], list[str]],
    tmp_path: Path,
    deterministic: bool,
) -> None:
    """Undisturbed without workers, and stopped in the second epoch with so many."""
    changes = {**ALL_THAT_DRAWS, "compute.deterministic": deterministic}
    whole = tmp_path / "whole"
    train_tiny(run_file({**changes, "data.workers": 0}), out=whole)
    for workers in (0, 1, 3):
        run = tmp_path / str(workers)
        train_tiny(run_file({**changes, "data.workers": workers}), out=run, stop=5)
        train_tiny(resumed=run)
        assert paper(run) == paper(whole), workers
        for name in ("checkpoints/last.pt", "checkpoints/best.pt"):
            found = set(differences(run / name, whole / name))
            assert found <= ({"config"} if workers else set()), workers


class KillAtTest(KillAt):
    """Kills when the test set has been evaluated, and the result written."""

    def __init__(self) -> None: ...

    def observe(self, event: Any) -> None:
        if isinstance(event, EvalDone) and event.split == "test":
            raise KilledError


def test_more_epochs_keep_the_earlier_test_result(
    run_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    """In metrics.jsonl and TensorBoard, each once; the summary has the newest one."""
    file = run_file({**CHANGES, "train.epochs": 2})
    whole, run = tmp_path / "whole", tmp_path / "parts"
    train_tiny(file, out=whole)
    train_tiny(resumed=whole, overrides=["train.epochs=4"])
    with pytest.raises(KilledError):
        fit(load(file), out=run, quiet=True, observers=[KillAtTest()])
    train_tiny(resumed=run)
    train_tiny(resumed=run, overrides=["train.epochs=4"], stop=12)
    with pytest.raises(KilledError):
        resume(run, quiet=True, observers=[KillAtTest()])
    train_tiny(resumed=run)
    found = paper(run)
    assert found == paper(whole)
    tests = [row for row in found["jsonl"] if row.get("split") == "test"]
    points = [(row["step"], row["loss"]) for row in tests]
    assert [step for step, _ in points] == [10, 20]
    assert found["board"]["test/loss"] == [(step, pytest.approx(loss)) for step, loss in points]
    assert found["summary"]["test"]["loss"] == points[1][1]


@pytest.mark.parametrize(("policy", "every"), [("skip", 1), ("skip", 3), ("rollback", 3)])
def test_a_step_that_is_not_finite(
    run_file: RunFile,
    train_tiny: Train,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    policy: str,
    every: int,
) -> None:
    """Step 9, once. TensorBoard has the points of metrics.jsonl, and no others."""
    calls = count(1)
    plain = CrossEntropy.__call__

    def spoilt(self: CrossEntropy, logits: Tensor, targets: Tensor, /) -> Tensor:
        loss = plain(self, logits, targets)
        return loss * float("nan") if loss.requires_grad and next(calls) == 9 else loss

    monkeypatch.setattr(CrossEntropy, "__call__", spoilt)
    changes = {**CHANGES, "record.every": every, "train.on_divergence": policy}
    train_tiny(run_file(changes), out=tmp_path / "run")
    found = paper(tmp_path / "run")
    steps = [row for row in found["jsonl"] if row["type"] == "step"]
    assert [row["step"] for row in steps] == list(range(every, 21, every))
    skipped = {row["step"]: row["skipped"] for row in steps if row["skipped"]}
    assert skipped == ({9: 1} if policy == "skip" else {})
    assert [row["step"] for row in steps if row["loss"] is None] == ([9] if every == 1 else [])
    for split, of, tag, key in (
        ("train", "step", "step/loss", "loss"),
        ("train", "epoch", "loss", "train_loss"),
        ("validation", "evaluation", "loss", "loss"),
    ):
        rows = [row for row in found["jsonl"] if row["type"] == of and row.get("split") != "test"]
        points = [(row["step"], pytest.approx(row[key] or nan, nan_ok=True)) for row in rows]
        assert found["board"][f"{split}/{tag}"] == points


@pytest.mark.parametrize(
    ("first_policy", "stops"),
    [("rollback", ()), ("rollback", (5, 7)), ("rollback", (8,)), ("stop", (7,)), ("stop", (8,))],
    ids=str,
)
def test_reports_across_a_rollback_have_each_step_once(
    run_file: RunFile,
    train_tiny: Train,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    first_policy: str,
    stops: tuple[int, ...],
) -> None:
    """Step 9 is not finite once: back to step 5, or to where rollback was first asked for.

    Each report is the mean over the images of its four steps, from a run that reports each step.
    """
    calls = count(1)
    plain = CrossEntropy.__call__

    def spoilt(self: CrossEntropy, logits: Tensor, targets: Tensor, /) -> Tensor:
        loss = plain(self, logits, targets)
        return loss * float("nan") if loss.requires_grad and next(calls) == 9 else loss

    def trained(name: str, every: int) -> dict[int, float]:
        nonlocal calls
        calls = count(1)
        policy = {"train.on_divergence": first_policy, "record.every": every}
        file = run_file({**CHANGES, **policy, "train.epochs": 3})
        run = tmp_path / name
        train_tiny(file, out=run, stop=stops[0] if stops else None)
        for stop in (*stops[1:], None)[: len(stops)]:
            train_tiny(resumed=run, overrides=["train.on_divergence=rollback"], stop=stop)
        return {row["step"]: row["loss"] for row in rows(run) if row["type"] == "step"}

    monkeypatch.setattr(CrossEntropy, "__call__", spoilt)
    each, found = trained("each", 1), trained("found", 4)
    images = {step: 8 if step % 5 == 0 else 16 for step in each}
    assert list(each) == list(range(1, 16))
    assert found == {
        last: pytest.approx(
            sum(images[step] * each[step] for step in range(last - 3, last + 1))
            / sum(images[step] for step in range(last - 3, last + 1))
        )
        for last in (4, 8, 12)
    }


def test_sums_and_the_best_epoch_are_of_all_parts(
    run_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train_tiny(run_file(), out=run, stop=12)
    first = json.loads((run / "summary.json").read_text())
    state = load_checkpoint(run / "checkpoints/last.pt")
    state["train"] |= {"best_epoch": 1, "best_error": 0.0, "best_loss": 0.0}  # type: ignore[operator]
    state["train"]["so_far"]["best"]["epoch"] = 1  # type: ignore[index]
    save(run / "checkpoints/last.pt", state)
    train_tiny(resumed=run)
    found = json.loads((run / "summary.json").read_text())
    assert found["images"] == 4 * 72
    assert found["seconds"] > first["seconds"]
    assert found["best"]["epoch"] == found["best_epoch"] == 1
    assert found["last"]["epoch"] == 4


def test_a_checkpoint_of_before_goes_on(
    run_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    """Without the keys of this page: sums and windows begin at the resume."""
    run = tmp_path / "run"
    train_tiny(run_file({"record.every": 4}), out=run, stop=7)
    state = load_checkpoint(run / "checkpoints/last.pt")
    del state["window"], state["train"]["so_far"], state["train"]["run_seconds"]  # type: ignore[attr-defined]
    save(run / "checkpoints/last.pt", state)
    assert train_tiny(resumed=run).exit_code == 0
    found = json.loads((run / "summary.json").read_text())
    assert found["images"] == 3 * 72
    assert [row["step"] for row in rows(run) if row["type"] == "step"] == [4, 8, 12, 16, 20]
