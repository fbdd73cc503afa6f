"""Handing the events of a run to its observers."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Sequence
from typing import Protocol

from cnntrain.record.intervals import Record, reported
from cnntrain.train.events import Event, RunDone


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
