"""The error stream, which nothing depends on: its reader may have left, or its disk may be full."""

from __future__ import annotations

import contextlib
import sys


def say(text: str) -> None:
    """Print a line there; without an effect where that is impossible."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # failed, closed, None
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
