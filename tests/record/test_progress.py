"""Bars outside of training: on a terminal only, each pass counted to its end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnntrain.model.opening import open_model
from cnntrain.model.recalibrated import recalibrate_run
from cnntrain.record import progress

pytestmark = pytest.mark.usefixtures("own_place")


@pytest.fixture
def trained(run_file: Callable[..., Path], train_tiny: Callable[..., Any]) -> Path:
    found: Path = train_tiny(run_file({"train.epochs": 1})).run.path
    return found


Drawn = Callable[[], list[str]]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Drawn:
    """What bars have drawn on the error stream, which is taken for a terminal, since the last."""
    monkeypatch.setattr(progress, "is_terminal", lambda stream: True)
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    return lambda: [line for line in capfd.readouterr().err.split("\r") if line.strip()]


@pytest.mark.parametrize(
    ("measure", "says"),
    [
        (lambda run: open_model(run).evaluate(), ["test"]),
        (lambda run: open_model(run).evaluate(crops="dense"), ["test"]),
        (lambda run: open_model(run).features(split="train"), ["train"]),
        (recalibrate_run, ["validation", "train", "train", "validation"]),
    ],
)
def test_a_bar_for_each_pass(
    trained: Path, drawn: Drawn, measure: Callable[[Path], object], says: list[str]
) -> None:
    """Recalibration reads the first training batch once more."""
    sizes = {"train": 72, "validation": 24, "test": 30}
    drawn()
    measure(trained)
    begun = [line.split() for line in drawn() if "| 0/" in line]
    assert [words[0] for words in begun] == [f"{what}:" for what in says]
    assert [words[3] for words in begun] == [f"0/{sizes[what]}" for what in says]


def test_what_is_counted(drawn: Drawn) -> None:
    with progress.bar("images", total=3) as shown:
        shown.update(2)
        shown.refresh()
    assert "2/3" in "".join(drawn())
    with progress.bar("images", total=3, quiet=True):
        assert drawn() == []


def test_off_a_terminal_there_is_none(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    capfd.readouterr()
    open_model(trained).evaluate()
    assert capfd.readouterr().err == ""
