"""The time that a run still takes, on a clock that is moved by hand: what is said, and when."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
import torch

from cnntrain.record.console import Console
from cnntrain.record.observe import observe
from cnntrain.record.time_left import Ahead, TimeLeft
from cnntrain.show.words import about_time
from cnntrain.train.events import EpochDone, EvalDone, Event, RunDone, RunStarted, StepDone

Run = Callable[..., Iterator[Event]]


@dataclass
class Days:
    """A run on a clock: 3 s for the first step, 1 s for the others, 6 s for an evaluation of 20
    images, 2 s to save what an epoch gave."""

    now: float = 0.0
    step_seconds: float = 1.0

    def events(self, events: Iterator[Event]) -> Iterator[Event]:
        first = True
        for event in events:
            if isinstance(event, StepDone):
                self.now += 3.0 if first else self.step_seconds
                first = False
            elif isinstance(event, EvalDone):
                self.now += 6.0
                event = replace(event, seconds=6.0)
            elif isinstance(event, EpochDone):
                self.now += 2.0
            yield event


def always(_: int) -> bool:
    return True


def left_at(step: int, events: Iterator[Event], ahead: Ahead, *, days: Days) -> tuple[float, float]:
    """What is left of the epoch and of the run after a step."""
    left = TimeLeft(ahead, clock=lambda: days.now)
    for event in days.events(events):
        left.observe(event)
        if isinstance(event, StepDone) and event.step == step:
            return left.of_epoch(), left.of_run()
    raise AssertionError(step)


def test_steps_evaluations_and_ends_of_epochs_are_measured(run: Run) -> None:
    ahead = Ahead(evaluates=always, validation_images=20, images_afterwards=40)
    epoch, whole = left_at(14, run(epochs=5, steps=10, data_seconds=0.0), ahead, days=Days())
    assert epoch == pytest.approx(6 * 1 + 6 + 2)
    assert whole == pytest.approx(36 * 1 + 4 * 6 + 4 * 2 + 40 * 6 / 20)


def test_before_the_first_evaluation_its_time_is_derived_from_the_steps(run: Run) -> None:
    """Of 1 s per 10 images 0.4 s are waiting, as in evaluation; a third of the rest is forward."""
    ahead = Ahead(evaluates=always, validation_images=20)
    _, whole = left_at(5, run(epochs=2, steps=10, data_seconds=0.4), ahead, days=Days())
    assert whole == pytest.approx(15 * 1 + 2 * 20 * (0.4 + 0.6 / 3) / 10)


def test_only_the_epochs_that_are_evaluated_count(run: Run) -> None:
    ahead = Ahead(evaluates=lambda epoch: epoch == 5, validation_images=20)
    _, whole = left_at(11, run(epochs=5, steps=10, data_seconds=0.0), ahead, days=Days())
    assert whole == pytest.approx(39 * 1 + 6 + 4 * 2)


def test_a_change_of_speed_is_followed(run: Run) -> None:
    days = Days()

    def slower() -> Iterator[Event]:
        for event in run(epochs=8, steps=10, data_seconds=0.0):
            if isinstance(event, StepDone) and event.step == 11:
                days.step_seconds = 2.0
            yield event

    _, whole = left_at(70, slower(), Ahead(), days=days)
    assert whole - 2 * 2 == pytest.approx(10 * 2, rel=0.02)  # two ends of epochs of 2 s


def test_a_resumed_run_has_only_the_rest_ahead(run: Run) -> None:
    events = run(epochs=5, steps=10, epoch=3, step=34, data_seconds=0.0)
    epoch, whole = left_at(37, events, Ahead(), days=Days())
    assert epoch == pytest.approx(3)
    assert whole == pytest.approx(13)


def test_steps_that_are_undone_come_again() -> None:
    days = Days()
    left = TimeLeft(Ahead(), clock=lambda: days.now)
    left.observe(RunStarted(1, 10, 0, 0))
    for number in (1, 2, 3, 4, 3):
        days.now += 1.0
        loss = torch.tensor(1.0)
        left.observe(StepDone(1, number, number, 10, 0.1, loss, None, 0.0, 1.0))
    assert left.of_run() == pytest.approx(7)


def said(events: Iterator[Event], days: Days, ahead: Ahead, *, quiet: bool = False) -> str:
    """What the console says off a terminal."""
    stream = io.StringIO()
    console = Console(
        stream=stream,
        card=[("network", "small")],
        quiet=quiet,
        ahead=ahead,
        clock=lambda: days.now,
    )
    observe(days.events(events), observers=[console], every=50)
    return stream.getvalue()


def test_the_whole_time_is_said_after_the_first_steps_and_in_the_end(run: Run) -> None:
    """At step 4 6 s are over; 396 steps of 1 s follow, 10 evaluations of 20/3 s, as 10 images take
    1 s and a third of it is the forward pass, and 10 images at the end: 409 s, 7 minutes."""
    ahead = Ahead("cuda", evaluates=always, validation_images=20, images_afterwards=10)
    text = said(run(epochs=10, steps=40, data_seconds=0.0), Days(), ahead)
    line = "time     about 7 min for 10 epochs on cuda; the first 4 steps took 6.0 s\n"
    assert text.count("time  ") == 1
    assert line in text
    assert text.index(line) < text.index("epoch  1/10")
    assert "finished at epoch 10, step 400 after 1:02:03 h (expected: about 7 min), " in text
    assert not re.findall("left|about", said(run(epochs=10, steps=40), Days(), ahead, quiet=True))


def test_a_run_that_may_stop_early_takes_at_most_so_long(run: Run) -> None:
    early = said(run(epochs=2, steps=40, reason="early stop"), Days(), Ahead(may_end_early=True))
    assert "time     at most about 80 s for 2 epochs on cpu; " in early
    assert "expected" not in early


def test_a_resumed_run_says_which_epochs_are_meant(run: Run) -> None:
    text = said(run(epochs=3, steps=40, epoch=1, step=40), Days(), Ahead())
    assert "for epochs 2 to 3 on cpu; the first 4 steps took 6.0 s\n" in text
    assert "expected" not in text


def test_a_run_of_a_few_seconds_has_no_estimate(run: Run) -> None:
    assert "about" not in said(run(epochs=1, steps=3), Days(), Ahead())
    text = said(run(epochs=1, steps=23), Days(), Ahead())
    assert "about" not in text
    assert "expected" not in text


def test_lines_have_the_figures_since_the_line_before(run: Run) -> None:
    """`record.every` is 50 here; the loss of step s is s, and the steps after 40 are slower."""
    days = Days()

    def slower() -> Iterator[Event]:
        for event in run(epochs=2, steps=80, data_seconds=0.0):
            if isinstance(event, StepDone) and event.step == 36:
                days.step_seconds = 4.0
            yield event

    text = said(slower(), days, Ahead())
    lines = [line for line in text.splitlines() if "  step " in line]
    assert lines[0] == (
        "epoch 1/2  step 35/160  lr 0.1  loss 18  9.5 images/s  2 min left (45 s of this epoch)"
    )
    assert "step 43/160  lr 0.1  loss 39.5  2.5 images/s" in lines[1]  # steps 36 to 43
    assert len({line.split("loss")[1] for line in lines}) == len(lines)


def test_the_lines_of_short_epochs_have_the_time_left_every_30_seconds(run: Run) -> None:
    """An epoch takes 5 + 6 + 2 s, the first step 2 s more; the estimate of the run came at 6 s."""
    ahead = Ahead(evaluates=always, validation_images=20)
    text = said(run(epochs=40, steps=5, data_seconds=0.0), Days(), ahead)
    lines = [line for line in text.splitlines() if line.startswith("epoch")]
    told = {n: line.split("  ")[-1] for n, line in enumerate(lines, 1) if line.endswith(" left")}
    assert list(told) == [3, *range(6, 39, 3)]  # at 41 s, and every 39 s; 13 s are not worth a word
    assert told == {n: f"{about_time(13.0 * (40 - n))} left" for n in told}


def test_a_speed_is_without_what_came_before_the_epoch(run: Run) -> None:
    text = said(run(epochs=2, steps=40, data_seconds=0.0), Days(), Ahead())
    assert "step 71/80  lr 0.1  loss 56  10.0 images/s" in text  # steps 41 to 71: 310 images, 31 s


def test_what_is_about_is_no_more_exact_than_it_is() -> None:
    seconds = (0.2, 8.4, 43, 88, 91, 160, 284, 432, 2_460, 5_500, 9_300, 200_000)
    assert [about_time(s) for s in seconds] == [
        *("1 s", "8 s", "45 s", "90 s", "1.5 min", "2.5 min", "4.5 min", "7 min", "40 min"),
        *("1.5 h", "2.5 h", "2 days"),
    ]


def test_a_run_is_done_without_steps() -> None:
    days = Days()
    done = RunDone("finished", 1, 1, None, None, 1.0)
    assert "finished" in said(iter([RunStarted(1, 1, 1, 1), done]), days, Ahead())
