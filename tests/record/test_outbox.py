"""Points on their way to a tracker that fails, with the hand-made run of conftest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import pytest

from cnntrain.record.metrics_file import MetricsFile
from cnntrain.record.observe import Observer, Record, observe
from cnntrain.record.outbox import Outbox, Point
from cnntrain.train.events import Event, RunStarted, Setback

Run = Callable[..., Iterator[Event]]


class Tracker(Observer):
    """Keeps what it is sent, and fails when it is asked to."""

    def __init__(
        self, folder: Path, *, place: str = "here", fails: Callable[[], bool] = lambda: False
    ) -> None:
        self.points: list[tuple[str, int]] = []
        self.fails = fails
        self.now = 0.0
        metrics = folder / "metrics.jsonl"
        self.outbox = Outbox(
            folder / "tracker.json",
            place=(place,),
            metrics_jsonl=metrics,
            send=self.send,
            clock=lambda: self.now,
        )
        self.metrics = MetricsFile(metrics_jsonl=metrics, metrics_csv=folder / "metrics.csv")

    def send(self, points: Sequence[Point]) -> None:
        if self.fails():
            self.now += 1
            raise RuntimeError("no answer")
        self.points += [(point.kind, point.step) for point in points]

    def observe(self, event: Record) -> None:
        self.outbox.observe(event)

    def run(self, events: Iterator[Event]) -> Tracker:
        observe(events, observers=[self.metrics, self], every=2)
        return self

    def close(self) -> None:
        self.outbox.flush(last=True)


STEPS = [("step", step) for step in (2, 4, 6, 8, 10, 12)]
EPOCHS = [("epoch", step) for step in (4, 8, 12)]


@pytest.mark.parametrize(("until", "epoch", "step"), [(11, 1, 6), (11, 2, 8), (7, 1, 4), (3, 0, 0)])
def test_a_resumed_run_repeats_nothing(
    tmp_path: Path, run: Run, until: int, epoch: int, step: int
) -> None:
    first = Tracker(tmp_path).run(run(until=until))
    second = Tracker(tmp_path).run(run(epoch=epoch, step=step))
    assert sorted(first.points + second.points) == sorted(STEPS + EPOCHS)
    assert second.outbox.sent == {"step": 12, "epoch": 12}


def test_what_a_tracker_did_not_take_is_sent_by_the_resumed_run(tmp_path: Path, run: Run) -> None:
    first = Tracker(tmp_path, fails=lambda: True).run(run(until=11))
    assert first.points == []
    assert first.outbox.trouble == "RuntimeError: no answer"
    second = Tracker(tmp_path).run(run(epoch=2, step=8))
    assert sorted(second.points) == sorted(STEPS + EPOCHS)


def test_another_tracker_gets_all_points(tmp_path: Path, run: Run) -> None:
    Tracker(tmp_path).run(run(until=11))
    second = Tracker(tmp_path, place="there").run(run(epoch=2, step=8))
    assert sorted(second.points) == sorted(STEPS + EPOCHS)


def test_a_damaged_file_begins_a_second_run(
    tmp_path: Path, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    Tracker(tmp_path).run(run(until=11))
    (tmp_path / "tracker.json").write_text('{"sent"')
    second = Tracker(tmp_path).run(run(epoch=2, step=8))
    assert sorted(second.points) == sorted(STEPS + EPOCHS)
    assert "tracker.json is damaged" in caplog.text


def test_a_tracker_that_fails_is_given_a_twentieth_of_the_time(tmp_path: Path, run: Run) -> None:
    tracker = Tracker(tmp_path, fails=lambda: True)  # each attempt takes a second
    attempts = []
    for event in run(epochs=200):
        before = tracker.now
        tracker.observe(event)
        attempts.append(tracker.now > before)
        tracker.now += 1  # of training
    assert 40 <= sum(attempts) <= len(attempts) / 20 + 1  # PATIENCE = 20
    tracker.fails = lambda: False
    tracker.close()
    assert [step for kind, step in tracker.points if kind == "epoch"] == list(range(4, 801, 4))


def test_steps_after_a_rollback_come_again(tmp_path: Path, run: Run) -> None:
    def events() -> Iterator[Event]:
        yield from run(until=7)
        yield Setback(1, 4, "rollback", 1, 0.5, "")
        yield from islice(run(epoch=1, step=4), 1, None)

    tracker = Tracker(tmp_path).run(events())
    assert tracker.points.count(("epoch", 4)) == 1
    assert set(tracker.points) == set(STEPS + EPOCHS)


def test_figures_have_the_names_of_metrics_csv(tmp_path: Path, run: Run) -> None:
    found: list[Point] = []
    outbox = Outbox(None, place=(), metrics_jsonl=None, send=found.extend)
    for event in run(epochs=1):
        outbox.observe(event)
    (point,) = [point for point in found if point.kind == "epoch"]
    metrics = MetricsFile(metrics_jsonl=tmp_path / "m.jsonl", metrics_csv=tmp_path / "m.csv")
    observe(run(epochs=1), observers=[metrics])
    head, row = (line.split(",") for line in (tmp_path / "m.csv").read_text().splitlines())
    expected = {name: float(cell) for name, cell in zip(head, row, strict=True) if cell}
    assert point.step == expected.pop("step")
    assert point.values == expected


def test_a_run_that_starts_sends_at_once(tmp_path: Path) -> None:
    sent: list[int] = []
    outbox = Outbox(
        None, place=(), metrics_jsonl=None, send=lambda points: sent.append(len(points))
    )
    outbox.observe(RunStarted(epochs=1, steps_per_epoch=4, epoch=0, step=0))
    assert sent == [0]  # the tracker learns of the run, without points
