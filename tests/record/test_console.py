"""The console, on a pseudo-terminal and off one."""

from __future__ import annotations

import io
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from rich.cells import cell_len

from cnntrain.record.console import Console
from cnntrain.record.observe import observe
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.classification_report import Classification
from cnntrain.train.events import EpochDone, Event, RunDone, RunStarted, StepDone
from cnntrain.train.so_far import NOTHING_YET, so_far_in

if sys.platform != "win32":
    import termios

Run = Callable[..., Iterator[Event]]
CARD = [("arch", "lenet5: 61,706 parameters"), ("data", "mnist: 54,000 training images")]
WHERE = Path("runs/lenet 5/x")


def plain(events: Iterator[Event], **options: object) -> str:
    stream = io.StringIO()
    console = Console(stream=stream, run=WHERE, card=CARD, **options)  # type: ignore[arg-type]
    observe(events, observers=[console], every=2)
    return stream.getvalue()


def on_a_terminal(
    events: Iterator[Event], *, columns: int = 100, rows: int = 40, **options: object
) -> str:
    """What a terminal receives."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (rows, columns))
    received: list[bytes] = []

    def listen() -> None:
        try:
            while data := os.read(ours, 65_536):
                received.append(data)
        except OSError:  # the other end was closed
            return

    listener = threading.Thread(target=listen)
    listener.start()
    with os.fdopen(theirs, "w", encoding="utf-8") as stream:
        console = Console(stream=stream, run=WHERE, card=CARD, **options)  # type: ignore[arg-type]
        observe(events, observers=[console], every=2)
    listener.join()
    os.close(ours)
    return b"".join(received).decode()


def test_off_a_terminal_there_are_only_plain_lines(run: Run) -> None:
    text = plain(run(epochs=2))
    assert "\r" not in text
    assert "\x1b" not in text
    assert text == (
        "arch  lenet5: 61,706 parameters\n"
        "data  mnist: 54,000 training images\n"
        "epoch 1/2  train loss 1 error 50.00 %  validation loss 0.19 error 19.00 % (best)"
        "  lr 0.1  10.0 images/s  data wait 10 %  4.0 s\n"
        "epoch 2/2  train loss 0.5 error 25.00 %  validation loss 0.18 error 18.00 % (best)"
        "  lr 0.1  10.0 images/s  data wait 10 %  4.0 s\n"
        "      epoch  train loss  train error  validation loss  validation error\n"
        "best      2         0.5      25.00 %             0.18           18.00 %\n"
        "last      2         0.5      25.00 %             0.18           18.00 %\n"
        "finished at epoch 2, step 8 after 1:02:03 h, 10.0 images/s, "
        "10 % of the time waiting for data\n"
        "run   runs/lenet 5/x\n"
        "next  cnntrain eval 'runs/lenet 5/x'\n"
        "      cnntrain predict 'runs/lenet 5/x' some_folder/\n"
        "      tensorboard --logdir 'runs/lenet 5/x'/tb\n"
    )


def test_thirty_seconds_of_silence_are_broken(run: Run) -> None:
    now = [0.0]

    def slow() -> Iterator[Event]:
        for event in run(epochs=1, steps=10, data_seconds=0.0):
            if isinstance(event, StepDone):
                now[0] += 12.0
            yield event

    text = plain(slow(), clock=lambda: now[0])
    told = re.findall(r"^epoch 1/1  step (\d+)/10  lr 0.1.*$", text, re.MULTILINE)
    assert told == ["3", "7", "10"]  # every 36 seconds; the estimate came after step 4
    assert "step 7/10  lr 0.1  loss 5.5" in text  # the mean of the steps since the line before


def test_quiet_is_one_line(run: Run) -> None:
    text = plain(run(data_seconds=0.9), quiet=True)
    assert text == (
        "finished at epoch 3, step 12; best validation error 17.00 % (epoch 3); runs/lenet 5/x\n"
    )


def test_waiting_for_data_is_told_once_with_its_cure(run: Run) -> None:
    text = plain(run(data_seconds=0.43), data_cure="set data.workers: 4")
    line = "epoch 1 spent 43 % of its time waiting for data: set data.workers: 4\n"
    assert text.count("waiting for data:") == 1
    assert line in text
    assert "waiting for data:" not in plain(run(data_seconds=0.2))


def test_a_short_wait_is_not_worth_a_word() -> None:
    epoch = EpochDone(1, 1, 1.0, {"error": 0.5}, 0.1, None, False, 10, 0.3, 0.2)
    assert "waiting for" not in plain(iter([RunStarted(1, 1, 0, 0), epoch]))


def test_a_resumed_run_says_so_and_knows_its_best(run: Run) -> None:
    text = plain(run(epoch=1, step=6))
    assert "resumed after step 6 of 12\n" in text
    nothing_left = plain(run(epoch=3, step=12))
    assert "best validation error 17.00 % (epoch 3)" in nothing_left


def test_a_stopped_run_says_how_to_go_on(run: Run) -> None:
    text = plain(run(reason="stopped"))
    assert "stopped at epoch 3" in text
    assert "next  cnntrain fit --resume 'runs/lenet 5/x'\n" in text


@pytest.mark.parametrize("correct", [29, 30, 31])
def test_a_run_no_better_than_guessing_says_so(correct: int) -> None:
    """30 of 100 images are of the most frequent of five classes: naming it has 30 right."""
    rows = [[0] * 5 for _ in range(5)]
    for number, images in enumerate((20, 20, 30, 15, 15)):
        rows[number][4 if number == 0 else 0] = images
    rows[2][2], rows[2][0] = min(correct, 30), 30 - min(correct, 30)
    rows[1][1], rows[1][0] = correct - rows[2][2], 20 - (correct - rows[2][2])
    found = Classification(100, 1.5, correct / 100, None, correct, torch.tensor(rows))
    epoch = EpochDone(1, 1, 1.0, {"error": 0.5}, 0.1, found, True, 10, 1.0, 0.0)
    done = RunDone("finished", 1, 1, 1, 1 - correct / 100, 1.0)
    text, quiet = (
        plain(iter([RunStarted(1, 1, 0, 0), epoch, done]), quiet=quiet) for quiet in (False, True)
    )
    guessing = "note  no better than guessing: always naming the most frequent class has an error"
    is_guess = correct <= 30
    assert (f"{guessing} of 70.00 %\n" in text) == is_guess
    assert ("next  cnntrain diagnose 'runs/lenet 5/x'\n" in text) == is_guess
    assert ("; no better than guessing; " in quiet) == is_guess
    kept = epoch.added_to(NOTHING_YET, task=CLASSIFICATION).state_dict()  # and the run was resumed
    start = RunStarted(1, 1, 1, 1, so_far=so_far_in(kept, part="train"))
    assert (f"{guessing} of 70.00 %\n" in plain(iter([start, done]))) == is_guess
    assert "cnntrain eval" in text


def test_a_split_that_is_not_validation_has_a_line(run: Run) -> None:
    events = [
        event if not hasattr(event, "split") else type(event)(**(vars(event) | {"split": "test"}))
        for event in run(epochs=1)
    ]
    assert "test loss 0.19  error 19.00 %\n" in plain(iter(events))


def test_on_a_terminal_there_is_a_bar_and_a_table(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = on_a_terminal(run(epochs=2))
    assert "epoch 1/2:   0%|" in text
    assert "\r" in text
    lines = [line.rsplit("\r", 1)[-1] for line in text.replace("\r\n", "\n").split("\n")]
    assert sum(line.startswith("epoch ") for line in lines) == 2
    assert "\x1b[1m" in text  # the table's header is bold
    assert "│ best │" in text


def test_no_color_leaves_no_escape_sequences(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    text = on_a_terminal(run(epochs=2))
    assert "\x1b[" not in text.replace("\x1b[A", "")
    assert "│ best │" in text


def test_the_bar_has_the_figures_of_now_and_the_time_of_the_run(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("cnntrain.record.console.BAR_SECONDS", 0.0)
    now = [0.0]

    def slow() -> Iterator[Event]:
        for event in run(epochs=2, steps=60, data_seconds=0.0):
            now[0] += isinstance(event, StepDone)
            yield event

    text = on_a_terminal(slow(), columns=150, clock=lambda: now[0])
    assert "85 s left, loss 32, 10.0 images/s" in text  # read every 3 s: steps 31 to 33
    assert "1 s left, loss 119, 10.0 images/s" in text
    estimate = "time  about 2 min for 2 epochs on cpu; the first 5 steps took 5.0 s"
    assert f"\r{estimate}\r\n" in text  # the bar is wiped out first


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (80, "<00:05, 85 s left, loss 32]"),
        (60, "<00:05, 85 s left]"),
        (40, "| 85 s left"),
        (20, " 3%"),
    ],
)
def test_a_narrow_terminal_has_the_time_left_and_a_whole_table(
    run: Run, monkeypatch: pytest.MonkeyPatch, columns: int, shown: str
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))  # rich asks the terminal of this process
    monkeypatch.setattr("cnntrain.record.console.BAR_SECONDS", 0.0)
    now = [0.0]

    def slow() -> Iterator[Event]:
        for event in run(epochs=2, steps=60, data_seconds=0.0):
            now[0] += isinstance(event, StepDone)
            yield event

    text = on_a_terminal(slow(), columns=columns, clock=lambda: now[0])
    drawn = [line for line in re.split(r"[\r\n]+", text) if "epoch 1/2:" in line]
    assert all(cell_len(line) < columns for line in drawn)
    pattern = re.sub(r"<[0-9:]+", "<[0-9:]+", re.escape(shown))
    assert any(re.search(f"{pattern} *$", line) for line in drawn), drawn[-60:-50]
    if columns >= 40:
        assert "…" not in text
    if columns == 40:
        assert re.search(r"│ validation error │ 18\.00 % │ 18\.00 % │", text)


@pytest.mark.parametrize(
    ("term", "columns", "rows"), [("dumb", 100, 40), ("xterm", 0, 40), ("xterm", 120, 0)]
)
def test_where_no_bar_can_be_drawn_there_are_plain_lines(
    run: Run, monkeypatch: pytest.MonkeyPatch, term: str, columns: int, rows: int
) -> None:
    """`script -c 'stty cols 120; ...'` has 120 columns and no rows: tqdm would show nothing."""
    monkeypatch.setenv("TERM", term)
    now = [0.0]

    def slow() -> Iterator[Event]:
        for event in run(epochs=1):
            now[0] += 31.0 * isinstance(event, StepDone)
            yield event

    text = on_a_terminal(slow(), columns=columns, rows=rows, clock=lambda: now[0])
    text = text.replace("\r\n", "\n")
    assert "\r" not in text
    assert "\x1b" not in text
    assert "epoch 1/1  step 3/4  lr 0.1  loss 3" in text


def test_a_training_that_fails_leaves_a_clean_line(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")

    def failing() -> Iterator[Event]:
        yield from run(until=3)

    assert on_a_terminal(failing()).endswith("\r")  # the bar is wiped out
