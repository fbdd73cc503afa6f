"""Handing the events of a run to its observers, and what several of them note and name alike.

Every so many steps a report is added: what happened since the last one, as plain numbers; the
device is read only then.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.protocol import Task
from cnntrain.train.events import (
    EpochDone,
    EvalDone,
    Event,
    RunDone,
    RunStarted,
    StepDone,
    waited,
)


@dataclass(frozen=True)
class StepReport:
    """The steps since the last report (or since the run was started or resumed).

    Args:
        epoch: the epoch that runs, from 1.
        step: optimizer steps done in all.
        batch: batches done in this epoch.
        loss: mean over the images of these steps.
        lr: learning rate of the last of them.
        grad_norm: gradient norm of the last of them that has one, else None.
        images_per_second: training speed on the wall clock, without evaluation.
        data_wait: share of that time spent waiting for data, 0 to 1.
        seconds: that time.
    """

    epoch: int
    step: int
    batch: int
    loss: float
    lr: float
    grad_norm: float | None
    images_per_second: float
    data_wait: float
    seconds: float


Record = Event | StepReport


class Observer(Protocol):
    """Reads events and reports; never changes the training."""

    def observe(self, event: Record) -> None:
        """Take note of one event."""

    def close(self) -> None:
        """Finish; called once, also after an error. By default nothing is left to do."""
        return


def observe(
    events: Iterable[Event], *, observers: Sequence[Observer], every: int = 50
) -> RunDone | None:
    """Run the training to its end; each observer sees each event, in the order given.

    All observers are closed whatever happens, in the same order. Put those that write the
    metrics before the one that keeps checkpoints: then no checkpoint is ahead of its metrics.

    Args:
        events: of the training loop; closed too.
        observers: what is done with the events.
        every: steps between two StepReports.

    Returns:
        How the run ended; None if the events ended without saying so.
    """
    done = None
    with contextlib.ExitStack() as stack:
        for observer in reversed(observers):
            stack.callback(observer.close)
        if isinstance(events, Generator):
            stack.callback(events.close)
        for event in reported(events, every=every):
            for observer in observers:
                observer.observe(event)
            if isinstance(event, RunDone):
                done = event
    return done


def reported(
    events: Iterable[Event], *, every: int, clock: Callable[[], float] = time.perf_counter
) -> Generator[Record, None, None]:
    """Pass the events on, and after each `every`-th step of the whole run add a StepReport.

    Between reports nothing is read from the device: a step costs one addition there.
    """
    assert every >= 1
    window = _Window(clock)
    for event in events:
        if isinstance(event, StepDone):
            window.add(event)
            yield event
            if event.step % every == 0:
                yield window.report(event)
                window.restart()
            continue
        handed_over = clock()
        yield event
        window.apart += clock() - handed_over
        if isinstance(event, RunStarted):
            window.restart()
        elif isinstance(event, EvalDone):
            window.apart += event.seconds


class _Window:
    """Sums over the steps between two reports; the loss stays on the device."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._loss: torch.Tensor | None = None
        self.restart()

    def restart(self) -> None:
        self._since = self._clock()
        self._images = 0
        self._norm: torch.Tensor | None = None
        self._waited = 0.0
        self.apart = 0.0  # seconds that were not training
        if self._loss is not None:
            self._loss.zero_()

    def add(self, step: StepDone) -> None:
        if self._loss is None:
            self._loss = torch.zeros((), dtype=torch.float32, device=step.loss.device)
        self._loss.add_(step.loss.detach(), alpha=step.images)
        self._images += step.images
        self._waited += step.data_seconds
        if step.grad_norm is not None:
            self._norm = step.grad_norm

    def report(self, step: StepDone) -> StepReport:
        assert self._loss is not None
        loss = float(self._loss) / max(self._images, 1)  # the device finishes its work here
        norm = None if self._norm is None else float(self._norm)
        seconds = max(self._clock() - self._since - self.apart, 1e-9)
        return StepReport(
            epoch=step.epoch,
            step=step.step,
            batch=step.batch,
            loss=loss,
            lr=step.lr,
            grad_norm=norm,
            images_per_second=self._images / seconds,
            data_wait=min(self._waited / seconds, 1.0),
            seconds=seconds,
        )


@dataclass
class Tally(Observer):
    """What the run is for, its best and last epoch, and sums since it was started or resumed."""

    task: Task = CLASSIFICATION
    select: str = "error"
    best: EpochDone | None = None
    last: EpochDone | None = None
    test: EvalDone | None = None
    images: int = 0
    seconds: float = 0.0
    data_seconds: float = 0.0

    def observe(self, event: Record) -> None:
        """Count an event in; the result on validation images comes with its epoch."""
        if isinstance(event, RunStarted):
            self.task, self.select = event.task, event.select
        elif isinstance(event, EvalDone) and event.split == "test":
            self.test = event
        elif isinstance(event, EpochDone):
            self.last = event
            self.best = event if event.is_best else self.best
            self.images += event.images
            self.seconds += event.seconds
            self.data_seconds += event.data_seconds

    @property
    def images_per_second(self) -> float:
        """Training images a second over these epochs."""
        return self.images / self.seconds if self.seconds > 0 else 0.0

    @property
    def data_wait(self) -> float:
        """Share of the time spent waiting for data, 0 to 1."""
        return waited(self.data_seconds, self.seconds)


def epoch_figures(
    epoch: EpochDone | None, task: Task, *, validation: Sequence[str]
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
