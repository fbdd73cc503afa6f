"""The `cnntrain` command. Nothing that takes time is imported before signals end it quietly."""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # typing takes time
if TYPE_CHECKING:
    from types import FrameType

_SIGNALS = {"SIGINT": "Ctrl-C", "SIGTERM": "SIGTERM", "SIGHUP": "SIGHUP"}


def main() -> None:
    """Run the command line; every end is one message and an exit code."""
    before = {}
    try:
        for name in _SIGNALS:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, _stop)
        from cnntrain.cli.ending import run

        run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, _: FrameType | None) -> None:
    """Nothing has been done that would have to be put in order."""
    name = _SIGNALS[signal.Signals(number).name]
    if sys.stderr is not None:
        os.write(2, f"stopped by {name}\n".encode())
    os._exit(128 + number)
