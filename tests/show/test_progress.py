"""Bars outside of training, each pass counted to its end; lines off a terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnntrain.data.decode import in_threads
from cnntrain.model.opening import open_model
from cnntrain.model.recalibrated import recalibrate_run
from cnntrain.show import progress

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


def test_off_a_terminal_lines_say_how_long_yet(capfd: pytest.CaptureFixture[str]) -> None:
    """The first after 5 seconds, then every 30; an image takes 2."""
    now = [0.0]
    shown = progress.Lines("test", total=20, clock=lambda: now[0])
    for _ in range(20):
        now[0] += 2.0
        shown.update()
    assert capfd.readouterr().err.splitlines() == [
        "test: 3 of 20 images, about 35 s left",  # after 6 s: 34 s
        "test: 18 of 20 images, about 4 s left",  # after 36 s
    ]


def test_what_is_quick_has_no_line(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    open_model(trained).evaluate()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("quiet", [False, True])
def test_images_that_are_read_beforehand_are_counted(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], quiet: bool
) -> None:
    monkeypatch.setattr(progress, "FIRST", 0.0)
    with progress.quietly(quiet):
        assert list(in_threads(str, range(3), what="reading train")) == ["0", "1", "2"]
        assert list(in_threads(str, range(3))) == ["0", "1", "2"]  # has no name: is a part
    said = capfd.readouterr().err
    assert said.startswith("" if quiet else "reading train: 1 of 3 images, about ")
    assert len(said.splitlines()) == (0 if quiet else 1)
