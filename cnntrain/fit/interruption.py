"""Ctrl-C and SIGTERM while training: the first asks for a stop, the second stops at once."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from cnntrain.train import StopRequest

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StoppedAtOnceError(KeyboardInterrupt):
    """The second signal came: training ends in the middle of a batch, without saving."""

    def __init__(self, number: int, *, saves: bool) -> None:
        stands = "; the last checkpoint stands" if saves else ""
        super().__init__(f"stopped at once by {_name(number)}{stands}")
        self.exit_code = 128 + number


class Interruption:
    """Which signal came, if one did; `saves` says whether checkpoints are written."""

    def __init__(self, stop: StopRequest, *, saves: bool) -> None:
        self.stop = stop
        self.saves = saves
        self.received: int | None = None

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Ask for a stop; the second time, leave at once."""
        if self.received is not None:
            raise StoppedAtOnceError(number, saves=self.saves)
        self.received = number
        self.stop.request()
        what = "saving" if self.saves else "ending"
        text = f"{_name(number)}: {what} after this batch (again to stop at once)"
        print(f"\n{text}", file=sys.stderr)  # noqa: T201

    @property
    def exit_code(self) -> int:
        """What the process should end with."""
        return 128 + self.received if self.received else 0


@contextmanager
def stop_on_signals(stop: StopRequest, *, saves: bool = True) -> Iterator[Interruption]:
    """Turn Ctrl-C and SIGTERM into stop requests, and put the old handlers back afterwards."""
    interruption = Interruption(stop, saves=saves)
    if threading.current_thread() is not threading.main_thread():
        yield interruption  # signals reach the main thread only
        return
    before = {number: signal.signal(number, interruption.handle) for number in SIGNALS}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _name(number: int) -> str:
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
