"""Ctrl-C, SIGTERM and SIGHUP: which of them end the process, their exit codes, their words."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_ALL = ("SIGINT", "SIGTERM", "SIGHUP")
Handle = Callable[[int, FrameType | None], Any]

AGAIN = 0.02
"""Seconds after which an interruption that Python had to ignore is repeated."""


class Interrupted(KeyboardInterrupt):
    """A signal ends the process with this exit code."""

    def __init__(self, number: int, message: str = "") -> None:
        super().__init__(message or f"stopped by {signal_name(number)}")
        self.exit_code = 128 + number


class WaitEnded(BaseException):
    """A signal ends a wait; whoever waits sees that a stop is requested."""


def signal_name(number: int) -> str:
    """Its name for people."""
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name


def signals() -> list[int]:
    """The numbers of those that this system has."""
    return [getattr(signal, name) for name in _ALL if hasattr(signal, name)]


@contextmanager
def handled_by(handle: Handle) -> Iterator[None]:
    """Have signals handled while the block runs, and put the old handlers back afterwards.

    A signal that is ignored (nohup ignores SIGHUP) stays so. A process that is forked meanwhile
    ends quietly. Nothing is done in other threads than the main one: signals reach that one only.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    process = os.getpid()

    def in_this_process(number: int, frame: FrameType | None) -> None:
        if os.getpid() != process:
            os._exit(128 + number)
        handle(number, frame)

    before = {number: signal.getsignal(number) for number in signals()}
    for number, old in before.items():
        if old != signal.SIG_IGN:
            signal.signal(number, in_this_process)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def postponed() -> Iterator[None]:
    """Handle the signals that come while the block runs after it.

    Processes that are started in it never get them, from their first instruction on: they inherit
    that the signals are blocked. Where a signal is sent to all processes of a command (by a
    terminal, systemd, Slurm), the one that started them obeys it, and ends them.
    """
    received: list[int] = []
    try:
        with handled_by(lambda number, _: received.append(number)):
            if sys.platform == "win32":
                yield
                return
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals())
            try:
                yield
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    finally:
        for number in received:
            signal.raise_signal(number)


class Interruptions:
    """Ends a command at the first signal, wherever it is.

    Python ignores exceptions in some places (`__del__`, callbacks of weak references, of which
    imports are full), after a "Exception ignored in"; there the signal is repeated soon.
    """

    def __init__(self) -> None:
        self.received: Interrupted | None = None

    @contextmanager
    def raised(self) -> Iterator[None]:
        """Raise `Interrupted` on a signal while the block runs."""
        before = sys.unraisablehook

        def repeat(ignored: Any) -> None:
            if isinstance(ignored.exc_value, Interrupted):
                number = ignored.exc_value.exit_code - 128
                threading.Timer(AGAIN, signal.raise_signal, [number]).start()
            elif not isinstance(ignored.exc_value, WaitEnded):  # then it ends later, by itself
                before(ignored)

        sys.unraisablehook = repeat
        try:
            with handled_by(self._handle):
                yield
        finally:
            sys.unraisablehook = before

    def _handle(self, number: int, _: FrameType | None) -> None:
        self.received = Interrupted(number)
        raise self.received


def interrupt_behind(
    error: BaseException, *, before: BaseException | None
) -> KeyboardInterrupt | None:
    """The interruption in the middle of which a library raised an error of its own.

    Args:
        error: what the library raised.
        before: what was being handled when the library was called (`sys.exception()`).
    """
    context: BaseException | None = error
    while context is not None and context is not before:
        if isinstance(context, KeyboardInterrupt):
            return context
        context = context.__context__
    return None
