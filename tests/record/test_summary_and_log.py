"""summary.json and train.log."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cnntrain.record.log import EventLog, log_to
from cnntrain.record.observe import observe
from cnntrain.record.summary import SummaryFile
from cnntrain.train.events import Event

Run = Callable[..., Iterator[Event]]


def test_the_final_figures(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "summary.json"
    observe(run(), observers=[SummaryFile(summary=path, facts=lambda: {"peak_bytes": 7})])
    found = json.loads(path.read_text())
    assert (found["reason"], found["epoch"], found["step"]) == ("finished", 3, 12)
    assert (found["best_epoch"], found["best_error"]) == (3, pytest.approx(0.17))
    assert found["last"]["validation_error"] == pytest.approx(0.17)
    assert found["images"] == 120
    assert found["images_per_second"] == pytest.approx(10.0)
    assert found["data_wait"] == pytest.approx(0.1)
    assert found["peak_bytes"] == 7


def test_a_killed_run_has_no_summary(tmp_path: Path, run: Run) -> None:
    observe(run(until=5), observers=[SummaryFile(summary=tmp_path / "summary.json")])
    assert not list(tmp_path.iterdir())


def test_the_log_has_times_epochs_and_tracebacks(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "train.log"

    def failing() -> None:
        with log_to(path):
            observe(run(epochs=1), observers=[EventLog()])
            raise ZeroDivisionError("on purpose")

    with pytest.raises(ZeroDivisionError):
        failing()
    text = path.read_text()
    assert " INFO cnntrain.run: training starts at epoch 0, step 0; 1 epoch of 4 steps" in text
    assert "epoch 1, step 4: training loss 1, error 0.5, lr 0.1, 40 images, 4.000 s, best" in text
    assert "finished at epoch 1" in text
    assert "Traceback (most recent call last)" in text
    assert "ZeroDivisionError: on purpose" in text
    assert text[:2] == "20"  # a time stamp of this century


def test_the_log_grows_on_resume_and_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    logger = logging.getLogger("cnntrain")
    before = (list(logger.handlers), logger.level)
    for word in ("first", "second"):
        with log_to(path):
            logging.getLogger("cnntrain.any").info(word)
    logging.getLogger("cnntrain.any").info("outside")
    assert [line.rsplit(" ")[-1] for line in path.read_text().splitlines()] == ["first", "second"]
    assert (logger.handlers, logger.level) == before


def test_a_log_that_cannot_be_written_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.log").symlink_to("/dev/full")
    with log_to(tmp_path / "train.log"):
        logging.getLogger("cnntrain.any").info("word")
    assert capsys.readouterr().err == "train.log is incomplete: No space left on device\n"


def test_a_summary_that_cannot_be_written_is_said(
    tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    observe(run(), observers=[SummaryFile(summary=tmp_path / "nowhere" / "summary.json")])
    assert capsys.readouterr().err == (
        "summary.json lacks the end of the run: No such file or directory\n"
    )
