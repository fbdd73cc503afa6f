"""Handing the events of a run to its observers, and what several of them note and name alike.

Every so many steps a report is added: what happened since the last one, as plain numbers; the
device is read only then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from cnntrain.record.incomplete import Gaps
from cnntrain.record.window import StepReport, StepWindow
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.protocol import Task
from cnntrain.train.events import (
    EpochDone,
    EvalDone,
    Event,
    RunDone,
    RunStarted,
    Setback,
    StepDone,
)
from cnntrain.train.so_far import NOTHING_YET, KeptEpoch, SoFar

Record = Event | StepReport


class Observer(Protocol):
    """Reads events and reports; never changes the training.

    An OSError or a DiskError of it (a full disk, a pipe whose reader has left) is noted, said at
    the end of the run, and does not end the training; any other exception does (see `Gaps`).
    """

    output: ClassVar[str] = ""
    """What it makes, in messages; empty: named after its class."""
    is_essential: ClassVar[bool] = False
    """Whether the training ends with every error of this observer."""
    sees_steps: ClassVar[bool] = True
    """Whether it is handed each step; if not, reports, evaluations and epochs alone."""
    forgiven: ClassVar[tuple[type[Exception], ...]] = ()
    """More exceptions that do not end the training: those of a library that writes."""

    def observe(self, event: Record) -> None:
        """Take note of one event."""

    def close(self) -> None:
        """Finish; called once, also after an error. By default nothing is left to do."""
        return

    def incomplete(self) -> Mapping[str, str]:
        """What is missing something by now of what it writes, and why; by default nothing."""
        return {}


def observe(
    events: Iterable[Event],
    *,
    observers: Sequence[Observer],
    every: int = 50,
    window: StepWindow | None = None,
) -> RunDone | None:
    """Run the training to its end; each observer sees each event, in the order given.

    All observers are closed whatever happens, in the same order. What one of them could not write
    does not end the training; it is said on the error stream afterwards (see `Gaps`). Put those
    that write the metrics before the one that keeps checkpoints: then no checkpoint is ahead of
    its metrics.

    Args:
        events: of the training loop; closed too.
        observers: what is done with the events.
        every: steps between two StepReports.
        window: the steps since the last one; of a resumed run not empty.

    Returns:
        How the run ended; None if the events ended without saying so.
    """
    done = None
    gaps = Gaps()
    with contextlib.ExitStack() as stack:
        stack.callback(gaps.report)
        for observer in reversed(observers):
            stack.callback(gaps.close, observer)
        if isinstance(events, Generator):
            stack.callback(events.close)
        seeing = [each for each in observers if getattr(each, "sees_steps", True)]
        for event in reported(events, every=every, window=window):
            if isinstance(event, StepDone):
                _hand_over(event, seeing, gaps, is_over=False)
                continue
            if isinstance(event, RunDone):
                done = event
            _hand_over(event, observers, gaps, is_over=done is not None)
    return done


def _hand_over(event: Record, observers: Sequence[Observer], gaps: Gaps, *, is_over: bool) -> None:
    is_first, is_step = isinstance(event, RunStarted), isinstance(event, StepDone)
    gaps.epoch = max(gaps.epoch, event.epoch + is_first)
    gaps.is_over = is_over
    for observer in observers:
        if is_step and gaps.has_failed(observer):
            continue
        gaps.run(observer, event, is_first=is_first)
        if not is_step:
            gaps.look(observer)


def reported(
    events: Iterable[Event], *, every: int, window: StepWindow | None = None
) -> Generator[Record, None, None]:
    """Pass the events on, and before each `every`-th step of the whole run add a StepReport.

    The report comes first: whoever saves the state at that step finds it reported, and the window
    empty. Between reports nothing is read from the device: a step costs one addition there.
    """
    assert every >= 1
    window = window or StepWindow()
    for event in events:
        if isinstance(event, StepDone):
            window.add(event)
            if event.step % every == 0:
                yield window.report(event)
                window.restart()
            yield event
            continue
        if isinstance(event, RunStarted):
            window.keep(event.step)
        elif isinstance(event, EpochDone):
            window.end_epoch(event.step)
        elif isinstance(event, Setback) and event.policy == "rollback":
            window.go_back(event.step)
        handed_over = window.clock()
        yield event
        window.apart += window.clock() - handed_over
        if isinstance(event, RunStarted):
            window.begin()
        elif isinstance(event, EvalDone):
            window.apart += event.seconds


@dataclass
class Tally(Observer):
    """What the run is for, and what came of it, with all that was before it was resumed."""

    sees_steps = False

    task: Task = CLASSIFICATION
    select: str = "error"
    keeps_last: bool = False
    so_far: SoFar = NOTHING_YET
    test: EvalDone | None = None

    def observe(self, event: Record) -> None:
        """Count an event in; the result on validation images comes with its epoch."""
        if isinstance(event, RunStarted):
            self.task, self.select, self.so_far = event.task, event.select, event.so_far
            self.keeps_last = event.keeps_last
        elif isinstance(event, EvalDone) and event.split == "test":
            self.test = event
        elif isinstance(event, EpochDone):
            self.so_far = event.added_to(self.so_far, task=self.task)


def epoch_figures(
    epoch: EpochDone | KeptEpoch | None, task: Task, *, validation: Sequence[str]
) -> dict[str, float | None]:
    """`train_loss`, `train_error`, `validation_loss`, ... in the order of the columns.

    Args:
        epoch: None if there is none: all are None.
        task: it has the names.
        validation: the names of those wanted on the validation images; None without such images.
    """
    found = None if epoch is None else epoch.validation
    trained = None if epoch is None else {"loss": epoch.train_loss, **epoch.train_figures}
    evaluated = None if found is None else {"loss": found.loss, **found.figures}
    return {
        f"{split}_{name}": None if values is None else values[name]
        for split, values, names in (
            ("train", trained, task.train_figures),
            ("validation", evaluated, validation),
        )
        for name in ("loss", *names)
    }
