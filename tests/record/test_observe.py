"""The observers' loop: everyone sees everything in order, and everyone is closed."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator

import pytest

from cnntrain.core.errors import DiskError
from cnntrain.record.observe import Record, observe
from cnntrain.record.window import StepReport
from cnntrain.train.events import EpochDone, Event, RunDone, RunStarted

Run = Callable[..., Iterator[Event]]


class Witness:
    is_essential = False
    sees_steps = True
    forgiven: tuple[type[Exception], ...] = ()

    def __init__(
        self,
        diary: list[str],
        name: str,
        *,
        breaks_on: type | None = None,
        error: Exception | None = None,
    ) -> None:
        self.error = error or AssertionError()
        self.diary = diary
        self.name = name
        self.breaks_on = breaks_on

    def observe(self, event: Record) -> None:
        if self.breaks_on is not None and isinstance(event, self.breaks_on):
            raise self.error
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


def test_who_does_not_look_at_steps_is_handed_all_else(run: Run) -> None:
    diary: list[str] = []
    blind = Witness(diary, "a")
    blind.sees_steps = False
    observe(run(epochs=1, steps=2), observers=[blind, Witness(diary, "b")], every=2)
    seen = [line for line in diary if line.startswith("b ") and "StepDone" not in line]
    assert [line.replace("a ", "b ") for line in diary if line.startswith("a ")] == seen
    assert diary.count("b StepDone") == 2


def test_all_are_closed_when_training_fails(run: Run) -> None:
    diary: list[str] = []

    def failing() -> Iterator[Event]:
        yield from run(epochs=1, steps=2, until=1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        observe(failing(), observers=[Witness(diary, "a"), Witness(diary, "b")])
    assert diary[-2:] == ["a closed", "b closed"]


@pytest.mark.parametrize(
    ("error", "is_essential"), [(DiskError("b is full"), True), (KeyError("a bug"), False)]
)
def test_an_essential_observer_or_one_with_a_bug_ends_the_training(
    run: Run, error: Exception, is_essential: bool
) -> None:
    diary: list[str] = []
    ended: list[bool] = []

    def training() -> Iterator[Event]:
        try:
            yield from run()
        finally:
            ended.append(True)

    witness = Witness(diary, "b", breaks_on=EpochDone, error=error)
    witness.is_essential = is_essential
    with pytest.raises(type(error)):
        observe(training(), observers=[Witness(diary, "a"), witness])
    assert ended == [True]
    assert diary[-2:] == ["a closed", "b closed"]


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "Broken pipe"),
        (OSError(errno.ENOSPC, "No space left on device", "/a"), "No space left on device"),
        (DiskError("no space for b"), "no space for b"),
    ],
)
def test_an_output_that_fails_ends_nothing_and_is_said_once(
    run: Run,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    cause: str,
) -> None:
    diary: list[str] = []
    witness = Witness(diary, "b", breaks_on=EpochDone, error=error)
    done = observe(run(), observers=[witness, Witness(diary, "c")], every=2)
    assert isinstance(done, RunDone)
    assert [entry for entry in diary if entry.startswith("c")].count("c EpochDone") == 3
    assert diary.count("b StepDone") == 4  # spared those after it had failed
    assert diary.count("b StepReport") == 6  # but asked again
    assert capsys.readouterr().err == (
        f"the output of Witness is incomplete: {cause}, from epoch 1 to epoch 3\n"
    )
    assert [r.getMessage() for r in caplog.records] == [
        f"the output of Witness: {cause}; training continues"
    ]


def test_one_that_fails_at_the_start_is_off_and_one_at_the_end_lacks_the_end(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    diary: list[str] = []
    full = OSError(errno.ENOSPC, "No space left on device")
    first = Witness(diary, "a", breaks_on=RunStarted, error=full)
    last = Witness(diary, "b", breaks_on=RunDone, error=full)
    observe(run(epochs=1), observers=[first, last])
    assert not [entry for entry in diary if entry.startswith("a ") and entry != "a closed"]
    assert capsys.readouterr().err == (
        "the output of Witness is incomplete: No space left on device, from epoch 1 on\n"
        "the output of Witness lacks the end of the run: No space left on device\n"
    )


def test_a_library_that_writes_may_fail_as_it_likes(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    witness = Witness([], "a", breaks_on=EpochDone, error=ValueError("closed file"))
    witness.forgiven = (Exception,)
    assert observe(run(epochs=1), observers=[witness]) is not None
    assert "the output of Witness is incomplete: ValueError: closed file" in capsys.readouterr().err


def test_events_that_stop_short_have_no_end(run: Run) -> None:
    assert observe(run(until=3), observers=[]) is None


def test_kinds_of_records_are_told_apart() -> None:
    assert not isinstance(RunStarted(1, 1, 0, 0), StepReport)
