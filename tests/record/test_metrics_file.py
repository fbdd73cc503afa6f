"""The metrics files: valid on every line, every step exactly once, also after a resume."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cnntrain.core.errors import DiskError
from cnntrain.record.metrics_file import MetricsFile, columns
from cnntrain.record.observe import observe
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.train.events import EpochDone, Event, RunStarted

Run = Callable[..., Iterator[Event]]


def record(folder: Path, events: object, *, every: int = 2) -> None:
    files = MetricsFile(metrics_jsonl=folder / "metrics.jsonl", metrics_csv=folder / "metrics.csv")
    observe(events, observers=[files], every=every)  # type: ignore[arg-type]


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def untimed(found: list[dict[str, object]]) -> list[dict[str, object]]:
    clocked = ("images_per_second", "data_wait", "seconds")
    return [{key: v for key, v in row.items() if key not in clocked} for row in found]


def test_one_object_a_report_an_evaluation_and_an_epoch(tmp_path: Path, run: Run) -> None:
    record(tmp_path, run(epochs=2, steps=4))
    found = lines(tmp_path)
    kinds = [(row["type"], row["step"]) for row in found]
    epoch = [("step", 2), ("step", 4), ("evaluation", 4), ("epoch", 4)]
    assert kinds == epoch + [(kind, step + 4) for kind, step in epoch]  # type: ignore[operator]
    assert found[0]["loss"] == 1.5
    assert found[2]["error"] == pytest.approx(0.19)
    assert found[3]["validation_error"] == pytest.approx(0.19)
    assert found[3]["images_per_second"] == 10.0


def test_one_row_an_epoch_under_one_header(tmp_path: Path, run: Run) -> None:
    record(tmp_path, run(epochs=2, steps=4))
    found = rows(tmp_path)
    assert tuple(found[0]) == columns(CLASSIFICATION)
    assert [row["epoch"] for row in found] == ["1", "2"]
    assert found[0]["validation_top5_error"] == ""  # of two classes there is none
    assert found[1]["train_loss"] == "0.5"


@pytest.mark.parametrize(
    ("until", "epoch", "step"),
    [(7, 1, 4), (11, 1, 6), (11, 2, 8), (8, 1, 8), (12, 0, 0)],
    ids=["epoch", "middle", "later epoch", "end of epoch, not evaluated", "from the start"],
)
def test_after_a_resume_the_files_are_those_of_a_run_in_one_go(
    tmp_path: Path, run: Run, until: int, epoch: int, step: int
) -> None:
    (tmp_path / "once").mkdir()
    (tmp_path / "twice").mkdir()
    record(tmp_path / "once", run())
    record(tmp_path / "twice", run(until=until))
    record(tmp_path / "twice", run(epoch=epoch, step=step))
    assert untimed(lines(tmp_path / "twice")) == untimed(lines(tmp_path / "once"))
    assert rows(tmp_path / "twice") == rows(tmp_path / "once")


def test_an_epoch_that_was_done_but_not_kept_is_written_once(tmp_path: Path, run: Run) -> None:
    record(tmp_path, run(until=9))  # epoch 2 is complete at step 8 ...
    record(tmp_path, run(epoch=1, step=8))  # ... but the state is from before its evaluation
    steps = [(row["type"], row["step"]) for row in lines(tmp_path)]
    assert len(steps) == len(set(steps))
    assert [row["epoch"] for row in rows(tmp_path)] == ["1", "2", "3"]


@pytest.mark.parametrize("kept", [0.3, 0.5, 0.77, 0.99])
def test_a_torn_end_is_dropped(tmp_path: Path, run: Run, kept: float) -> None:
    record(tmp_path, run(epochs=2))
    for name in ("metrics.jsonl", "metrics.csv"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: int(kept * len(whole))])
    record(tmp_path, run(epoch=2, step=8))
    assert [row["type"] for row in lines(tmp_path)][-2:] == ["evaluation", "epoch"]
    assert all(None not in row.values() for row in rows(tmp_path))
    assert rows(tmp_path)[-1]["epoch"] == "3"
    assert (tmp_path / "metrics.csv").read_text().count("epoch,") == 1


def test_numbers_that_are_not_finite_are_no_json(tmp_path: Path) -> None:
    events = [
        RunStarted(epochs=1, steps_per_epoch=1, epoch=0, step=0),
        EpochDone(1, 1, float("nan"), {"error": 0.5}, 0.1, None, False, 10, 1.0, 0.0),
    ]
    record(tmp_path, events)
    assert "NaN" not in (tmp_path / "metrics.jsonl").read_text()
    assert lines(tmp_path)[0]["train_loss"] is None
    assert rows(tmp_path)[0]["train_loss"] == ""
    assert rows(tmp_path)[0]["validation_loss"] == ""


def test_a_folder_that_cannot_be_written_is_said_and_ends_nothing(
    tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "nowhere", run())
    assert capsys.readouterr().err == (
        "metrics.jsonl is incomplete: No such file or directory, from epoch 1 on\n"
        "metrics.csv is incomplete: No such file or directory, from epoch 1 on\n"
    )


def test_a_file_that_is_deleted_meanwhile_is_begun_again_and_said(
    tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    def deleting() -> Iterator[Event]:
        for event in run():
            yield event
            if isinstance(event, EpochDone) and event.epoch == 1:
                (tmp_path / "metrics.csv").unlink()

    record(tmp_path, deleting())
    assert [row["epoch"] for row in rows(tmp_path)] == ["2", "3"]
    assert [row["epoch"] for row in lines(tmp_path) if row["type"] == "epoch"] == [1, 2, 3]
    assert capsys.readouterr().err == (
        "metrics.csv is incomplete: it was deleted or replaced while the run wrote to it, "
        "from epoch 2 on\n"
    )


def test_rows_that_cannot_be_pruned_are_not_written_twice(
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(path: Path, _: str) -> None:
        raise DiskError(f"no space for {path.name}")

    record(tmp_path, run(until=11))
    before = (tmp_path / "metrics.jsonl").read_text()
    monkeypatch.setattr("cnntrain.record.metrics_file.write_text_atomically", full)
    record(tmp_path, run(epoch=1, step=4))
    assert (tmp_path / "metrics.jsonl").read_text() == before
    said = capsys.readouterr().err
    assert "metrics.jsonl is incomplete: no space for metrics.jsonl, from epoch 2 on\n" in said


def test_damaged_lines_are_removed_and_said(
    tmp_path: Path, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """A zeroed page or a flipped bit in the middle: nothing of it is dropped without a word."""
    record(tmp_path, run(until=11))
    for name, old, new in (("metrics.jsonl", '"step"', '"stap"'), ("metrics.csv", "0.5", "0,5")):
        text = (tmp_path / name).read_text().splitlines(keepends=True)
        text[1] = text[1].replace(old, new, 1) if old in text[1] else "\0\0\n"
        (tmp_path / name).write_text("".join(text))
    said = io.StringIO()
    files = MetricsFile(
        metrics_jsonl=tmp_path / "metrics.jsonl", metrics_csv=tmp_path / "metrics.csv", stream=said
    )
    observe(run(epoch=2, step=8), observers=[files], every=2)
    assert said.getvalue() == (
        f"note: {tmp_path}/metrics.jsonl is not what it was: its damaged line 2 was removed\n"
        f"note: {tmp_path}/metrics.csv is not what it was: its damaged line 2 was removed, and "
        "it lacks the epoch 1\n"
    )
    assert "metrics.jsonl, line 2: " in caplog.text
    assert [row["epoch"] for row in rows(tmp_path)] == ["2", "3"]
    assert [row["step"] for row in lines(tmp_path) if row["type"] == "step"] == [2, 6, 8, 10, 12]


def test_missing_epochs_are_said(tmp_path: Path, run: Run) -> None:
    said = io.StringIO()
    files = MetricsFile(
        metrics_jsonl=tmp_path / "metrics.jsonl", metrics_csv=tmp_path / "metrics.csv", stream=said
    )
    observe(run(epoch=2, step=8), observers=[files], every=2)
    assert said.getvalue().count("is not what it was: it lacks the epochs 1, 2\n") == 2
