"""Handing the events of a run to its observers, and what several of them note and name alike.

Every so many steps a report is added: what happened since the last one, as plain numbers; the
device is read only then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

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
    """Reads events and reports; never changes the training."""

    def observe(self, event: Record) -> None:
        """Take note of one event."""

    def close(self) -> None:
        """Finish; called once, also after an error. By default nothing is left to do."""
        return


def observe(
    events: Iterable[Event],
    *,
    observers: Sequence[Observer],
    every: int = 50,
    window: StepWindow | None = None,
) -> RunDone | None:
    """Run the training to its end; each observer sees each event, in the order given.

    All observers are closed whatever happens, in the same order. Put those that write the
    metrics before the one that keeps checkpoints: then no checkpoint is ahead of its metrics.

    Args:
        events: of the training loop; closed too.
        observers: what is done with the events.
        every: steps between two StepReports.
        window: the steps since the last one; of a resumed run not empty.

    Returns:
        How the run ended; None if the events ended without saying so.
    """
    done = None
    with contextlib.ExitStack() as stack:
        for observer in reversed(observers):
            stack.callback(observer.close)
        if isinstance(events, Generator):
            stack.callback(events.close)
        for event in reported(events, every=every, window=window):
            for observer in observers:
                observer.observe(event)
            if isinstance(event, RunDone):
                done = event
    return done


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
        if _goes_back(event):
            window.restart()
        handed_over = window.clock()
        yield event
        window.apart += window.clock() - handed_over
        if isinstance(event, RunStarted):
            window.begin()
        elif isinstance(event, EvalDone):
            window.apart += event.seconds


def _goes_back(event: Event) -> bool:
    return isinstance(event, Setback) and event.policy == "rollback"


@dataclass
class Tally(Observer):
    """What the run is for, and what came of it, with all that was before it was resumed."""

    task: Task = CLASSIFICATION
    select: str = "error"
    so_far: SoFar = NOTHING_YET
    test: EvalDone | None = None

    def observe(self, event: Record) -> None:
        """Count an event in; the result on validation images comes with its epoch."""
        if isinstance(event, RunStarted):
            self.task, self.select, self.so_far = event.task, event.select, event.so_far
        elif isinstance(event, EvalDone) and event.split == "test":
            self.test = event
        elif isinstance(event, EpochDone):
            self.so_far = event.added_to(self.so_far)


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
