"""Signals while training: the first asks for a stop, the second stops at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from cnntrain.core.interrupts import Interrupted, WaitEnded, handled_by, signal_name
from cnntrain.core.stderr import say
from cnntrain.runs.folder import RunFolder
from cnntrain.train import StopRequest


class Interruption:
    """Which signal came, if one did; `run` is the folder of the checkpoints, if there is one.

    Several processes get each signal from their launcher, and often from the system as well: more
    of them change nothing. The launcher kills what has not ended after its time (torchrun: 30 s).
    """

    def __init__(self, stop: StopRequest, *, run: RunFolder | None) -> None:
        self.stop = stop
        self.run = run
        self.received: int | None = None

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Ask for a stop; the second time, leave at once, without saving."""
        if self.received is not None and not self.stop.processes.is_alone:
            return
        if self.received is not None:
            saved = self.run is not None and self.run.last.is_file()
            stands = "; the last checkpoint stands" if saved else ""
            raise Interrupted(number, f"stopped at once by {signal_name(number)}{stands}")
        self.received = number
        self.stop.request()
        again = " (again to stop at once)" if self.stop.processes.is_alone else ""
        what = "saving" if self.run else "ending"
        if self.stop.processes.is_first:
            say(f"\n{signal_name(number)}: {what} after this batch{again}", keep="\n")
        if self.stop.is_waiting:
            raise WaitEnded

    @property
    def exit_code(self) -> int:
        """What the process should end with."""
        return 128 + self.received if self.received else 0


@contextmanager
def stop_on_signals(stop: StopRequest, *, run: RunFolder | None = None) -> Iterator[Interruption]:
    """Turn signals into stop requests while the block runs."""
    interruption = Interruption(stop, run=run)
    with handled_by(interruption.handle):
        yield interruption
