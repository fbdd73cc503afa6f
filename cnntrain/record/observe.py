"""Handing the events of a run to its observers, with a report every so many steps.

A report is what happened since the last one, as plain numbers; the device is read only then.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from cnntrain.train.events import EvalDone, Event, RunDone, RunStarted, StepDone


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
