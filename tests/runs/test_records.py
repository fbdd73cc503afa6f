"""What a run has written down is read back whole, or it is said which file and line is damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cnntrain.core.errors import CheckpointError
from cnntrain.fit.fit import Outcome
from cnntrain.model.opening import plan_of_run
from cnntrain.runs.folder import RunFolder
from cnntrain.runs.records import ending, read_json, read_results

LINES = (
    {"type": "step", "epoch": 1, "step": 1, "loss": 1.0},
    {"type": "evaluation", "epoch": 1, "step": 2, "split": "validation", "images": 8, "error": 0.5,
     "loss": 0.7},
    {"type": "evaluation", "epoch": 2, "step": 4, "split": "validation", "images": 8, "error": 0.25,
     "loss": 0.6},
    {"type": "evaluation", "epoch": 2, "step": 4, "split": "test", "images": 4, "error": 0.125,
     "loss": 0.5},
)  # fmt: skip
SUMMARY = {
    "reason": "finished",
    "best_epoch": 2,
    "last": {"validation_error": 0.25},
    "test": {"images": 4, "error": 0.125},
}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    found = RunFolder(tmp_path)
    found.metrics_jsonl.write_text("".join(f"{json.dumps(line)}\n" for line in LINES))
    found.summary.write_text(json.dumps(SUMMARY))
    return found


def test_results(run: RunFolder) -> None:
    found = read_results(run)
    assert found.number(found.last, "error") == found.number(found.best, "error") == 0.25
    assert found.number(found.test, "images") == 4
    with pytest.raises(
        CheckpointError, match=r"metrics\.jsonl is damaged: it lacks a number 'top9'"
    ):
        found.number(found.test, "top9")
    assert ending(run) == SUMMARY


def test_a_torn_last_line_is_not_looked_at(run: RunFolder) -> None:
    with run.metrics_jsonl.open("a") as file:
        file.write('{"type": "evalu')
    assert read_results(run).test is not None


@pytest.mark.parametrize(
    "line", ["", "x", "[]", '{"type": "step"}', '{"type": "stop"}', "[" * 9999]
)
def test_a_damaged_line_is_named(run: RunFolder, line: str) -> None:
    rows = run.metrics_jsonl.read_text().splitlines()
    run.metrics_jsonl.write_text("\n".join([rows[0], line, *rows[1:], ""]))
    with pytest.raises(CheckpointError, match=r"line 2 of .*metrics\.jsonl is damaged; put a copy"):
        read_results(run)


def test_a_changed_figure_is_found_by_the_file_that_repeats_it(run: RunFolder) -> None:
    text = run.metrics_jsonl.read_text()
    run.metrics_jsonl.write_text(text.replace("0.125", "0.525"))
    with pytest.raises(
        CheckpointError, match=r"the error of 'test' is 0\.525 in one and 0\.125 in"
    ):
        read_results(run)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is damaged: Expecting"),
        (b"[]", "is damaged: it holds no mapping"),
        (b"\xff", "is damaged: it is not UTF-8"),
        (None, "cannot be read: Is a directory"),
    ],
)
def test_a_damaged_summary(run: RunFolder, content: bytes | None, said: str) -> None:
    run.summary.unlink()
    with pytest.raises(CheckpointError, match=r"summary\.json is missing"):
        read_json(run.summary)
    run.summary.mkdir() if content is None else run.summary.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"summary\\.json {said}"):
        read_results(run)
    assert ending(run) is None  # resumed, it is written again


def test_damaged_classes(
    run_file: Callable[..., Path], train_tiny: Callable[..., Outcome], tmp_path: Path
) -> None:
    path = tmp_path / "run"
    train_tiny(run_file({"train.epochs": 1}), out=path)
    (path / "classes.txt").write_bytes(b"\xff\n")
    with pytest.raises(CheckpointError, match=r"classes\.txt is damaged: it is not UTF-8"):
        plan_of_run(path)


def test_folders_in_the_places_of_files_are_set_aside(
    run_file: Callable[..., Path], train_tiny: Callable[..., Outcome], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / "run"
    train_tiny(run_file({"train.epochs": 2}), out=path, stop=7)
    names = ("metrics.jsonl", "metrics.csv", "summary.json", "config.yaml", "train.log")
    for name in names:
        (path / name).unlink()
        (path / name / "inside").mkdir(parents=True)
    assert train_tiny(resumed=path).exit_code == 0
    for name in names:
        assert (path / name).is_file()
        assert (path / f"{name}.folder" / "inside").is_dir()
        assert (
            f"{path / name} was a folder, and is {name}.folder now"
            in (path / "train.log").read_text()
        )
    assert "it lacks the epoch 1" in capsys.readouterr().err


def test_what_follows_from_the_run_file_is_written_again(
    run_file: Callable[..., Path], train_tiny: Callable[..., Outcome], tmp_path: Path
) -> None:
    path = tmp_path / "run"
    train_tiny(run_file({"train.epochs": 2}), out=path, stop=7)
    names = ("config.yaml", "classes.txt", "plan.json", "plan.txt")
    before = {name: (path / name).read_bytes() for name in names}
    for name in names:
        (path / name).unlink()
    (path / "overrides.txt").write_bytes(b"\xff\n")
    shutil.rmtree(path / "tb", ignore_errors=True)
    train_tiny(resumed=path)
    assert {name: (path / name).read_bytes() for name in names} == before
