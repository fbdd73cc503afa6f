"""Reports: means since the last one, the device left alone between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
import torch

from cnntrain.record.observe import reported
from cnntrain.record.window import StepReport, StepWindow
from cnntrain.train.events import EvalDone, Event, RunStarted, StepDone

Run = Callable[..., Iterator[Event]]


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def reports(events: object) -> list[StepReport]:
    return [event for event in events if isinstance(event, StepReport)]  # type: ignore[attr-defined]


def test_a_report_is_the_mean_since_the_last_one(run: Run) -> None:
    found = reports(reported(run(epochs=3, steps=4), every=5))
    assert [r.step for r in found] == [5, 10]
    assert found[0].loss == pytest.approx((1 + 2 + 3 + 4 + 5) / 5)
    assert found[1].loss == pytest.approx((6 + 7 + 8 + 9 + 10) / 5)
    assert found[1].grad_norm == 20.0  # of the last step
    assert (found[1].epoch, found[1].batch, found[1].lr) == (3, 2, 0.1)


def test_a_mean_is_over_images_not_over_batches() -> None:
    steps = [
        StepDone(1, s, s, images, 0.1, torch.tensor(loss), None, 0.0, 1.0)
        for s, images, loss in ((1, 30, 1.0), (2, 10, 5.0))
    ]
    found = reports(reported([RunStarted(1, 2, 0, 0), *steps], every=2))
    assert found[0].loss == pytest.approx((30 * 1.0 + 10 * 5.0) / 40)
    assert found[0].grad_norm is None


def test_reports_fall_on_the_same_steps_after_a_resume(run: Run) -> None:
    found = reports(reported(run(epochs=3, steps=4, epoch=1, step=7), every=5))
    assert [r.step for r in found] == [10]
    assert found[0].loss == pytest.approx((8 + 9 + 10) / 3)


def test_the_speed_is_by_the_wall_clock_without_evaluation(run: Run) -> None:
    clock = Clock()

    def events() -> object:
        for event in run(epochs=2, steps=4, data_seconds=0.25):
            if isinstance(event, StepDone):
                clock.now += 1.0
            if isinstance(event, EvalDone):
                clock.now += event.seconds
            yield event

    found = []
    for event in reported(events(), every=8, window=StepWindow(clock)):  # type: ignore[arg-type]
        if not isinstance(event, StepDone | StepReport):
            clock.now += 100.0  # an observer at work at the end of an epoch
        if isinstance(event, StepReport):
            found.append(event)
    assert found[0].seconds == pytest.approx(8.0)
    assert found[0].images_per_second == pytest.approx(80 / 8.0)
    assert found[0].data_wait == pytest.approx(0.25)


def test_the_loss_is_read_only_for_reports(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    plain = torch.Tensor.__float__

    def counted(tensor: torch.Tensor) -> float:
        reads.append(1)
        return plain(tensor)

    monkeypatch.setattr(torch.Tensor, "__float__", counted)
    monkeypatch.setattr(torch.Tensor, "item", lambda _: pytest.fail("read from the device"))
    list(reported(run(epochs=1, steps=40), every=20))
    assert len(reads) == 2 * 2  # loss and gradient norm, two reports


def test_the_events_own_losses_are_left_as_they_are(run: Run) -> None:
    events = [e for e in run() if isinstance(e, StepDone)]
    list(reported(events, every=2))
    assert [float(e.loss) for e in events] == [float(e.step) for e in events]


def test_skipped_steps_are_counted_and_not_in_the_mean() -> None:
    nan, taken, left_out = torch.tensor(float("nan")), torch.tensor(0.0), torch.tensor(1.0)
    steps = [
        StepDone(1, s, s, images, 0.1, loss, None, 0.0, 1.0, skipped)
        for s, images, loss, skipped in (
            (1, 30, torch.tensor(1.0), taken),
            (2, 40, nan, left_out),
            (3, 10, torch.tensor(5.0), taken),
            (4, 10, nan, left_out),
            (5, 10, nan, left_out),
            (6, 10, nan, left_out),
        )
    ]
    whole = reports(reported([RunStarted(1, 6, 0, 0), *steps], every=3))
    assert whole[0].loss == pytest.approx((30 * 1.0 + 10 * 5.0) / 40)
    assert math.isnan(whole[1].loss)
    assert [report.skipped for report in whole] == [1, 3]
    window = StepWindow()
    list(reported([RunStarted(1, 6, 0, 0), *steps[:2]], every=3, window=window))
    later = StepWindow()
    later.load_state_dict(window.state_dict())
    resumed = reports(reported([RunStarted(1, 6, 0, 2), *steps[2:]], every=3, window=later))
    assert [(report.loss, report.skipped) for report in resumed[:1]] == [(whole[0].loss, 1)]
