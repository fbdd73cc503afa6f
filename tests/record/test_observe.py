"""The observers' loop: everyone sees everything in order, and everyone is closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from cnntrain.core.errors import DiskError
from cnntrain.record.observe import Record, observe
from cnntrain.record.window import StepReport
from cnntrain.train.events import EpochDone, Event, RunDone, RunStarted

Run = Callable[..., Iterator[Event]]


class Witness:
    def __init__(self, diary: list[str], name: str, *, breaks_on: type | None = None) -> None:
        self.diary = diary
        self.name = name
        self.breaks_on = breaks_on

    def observe(self, event: Record) -> None:
        if self.breaks_on is not None and isinstance(event, self.breaks_on):
            raise DiskError(f"{self.name} is full")
        self.diary.append(f"{self.name} {type(event).__name__}")

    def close(self) -> None:
        self.diary.append(f"{self.name} closed")


def test_all_see_the_events_in_order_and_are_closed(run: Run) -> None:
    diary: list[str] = []
    done = observe(
        run(epochs=1, steps=2), observers=[Witness(diary, "a"), Witness(diary, "b")], every=2
    )
    kinds = ["RunStarted", "StepDone", "StepReport", "StepDone", "EvalDone", "EpochDone", "RunDone"]
    assert diary == [f"{n} {kind}" for kind in kinds for n in "ab"] + ["a closed", "b closed"]
    assert isinstance(done, RunDone)


def test_all_are_closed_when_training_fails(run: Run) -> None:
    diary: list[str] = []

    def failing() -> Iterator[Event]:
        yield from run(epochs=1, steps=2, until=1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        observe(failing(), observers=[Witness(diary, "a"), Witness(diary, "b")])
    assert diary[-2:] == ["a closed", "b closed"]


def test_an_observer_that_fails_ends_the_training_and_closes_it(run: Run) -> None:
    diary: list[str] = []
    ended: list[bool] = []

    def training() -> Iterator[Event]:
        try:
            yield from run()
        finally:
            ended.append(True)

    with pytest.raises(DiskError, match="b is full"):
        observe(
            training(),
            observers=[Witness(diary, "a"), Witness(diary, "b", breaks_on=EpochDone)],
        )
    assert ended == [True]
    assert diary[-2:] == ["a closed", "b closed"]


def test_events_that_stop_short_have_no_end(run: Run) -> None:
    assert observe(run(until=3), observers=[]) is None


def test_kinds_of_records_are_told_apart() -> None:
    assert not isinstance(RunStarted(1, 1, 0, 0), StepReport)
