"""The error stream, which nothing depends on: its reader may have left, or its disk may be full."""

from __future__ import annotations

import contextlib
import logging
import sys

from cnntrain.core.escapes import escaped


def say(text: str, *, keep: str = "") -> None:
    """Print a line there; without an effect where that is impossible; `keep` as in `escaped`."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # failed, closed, None
        sys.stderr.write(escaped(text, keep=keep) + "\n")
        sys.stderr.flush()


class PlainLines(logging.Formatter):
    """Messages of a log in one line each, without control characters."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """The line."""
        return escaped(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """The line, and those of a traceback."""
        return escaped(super().format(record), keep="\n\t")
