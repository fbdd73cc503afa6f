"""That something is being done, and for how long yet: on the error stream, outside of training."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Protocol, TextIO

from rich.cells import cell_len
from tqdm import tqdm

from cnntrain.core.stderr import say
from cnntrain.show.words import about_time

PATIENCE = 1.0
"""Seconds without a bar; what is done by then needs none."""
FIRST, SILENCE = 5.0, 30.0
"""Seconds before the first line off a terminal, and between two."""

_QUIET = ContextVar("_QUIET", default=False)


class Progress(Protocol):
    """Counts what is done."""

    def update(self, n: float | None = 1) -> object:
        """`n` more are done."""


class Lines:
    """Lines such as `test: 1,280 of 10,000 images, 40 s left`, where no bar can be drawn."""

    def __init__(
        self, what: str, *, total: int | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what, self._total, self._clock = what, total, clock
        self._began, self._next, self._done = clock(), clock() + FIRST, 0.0

    def update(self, n: float | None = 1) -> None:
        """`n` more are done."""
        self._done += n or 0
        now = self._clock()
        if now < self._next or self._done in (0, self._total):
            return
        self._next = now + SILENCE
        text = f"{self._what}: {self._done:,.0f}"
        if self._total is not None:
            left = (now - self._began) * (self._total / self._done - 1)
            text += f" of {self._total:,} images, about {about_time(left)} left"
        say(text if self._total is not None else f"{text} images")


class Bar(tqdm):  # type: ignore[type-arg]  # of its stubs alone
    """A bar that leaves out figures where the terminal is too narrow for all of them.

    tqdm cuts off what does not fit at its end, which is how long it takes yet.

    Attributes:
        figures: shown after the time of the bar itself, in place of its rate; those that matter
            least are the last, and are left out first.
    """

    figures: Sequence[str] = ()

    def __str__(self) -> str:
        """The line that is drawn: of the forms the first that fits with ten characters of bar."""
        state = self.format_dict
        if self.total is None:
            return self.format_meter(**state)
        for form in self._forms():
            state["bar_format"] = form
            whole = self.format_meter(**{**state, "ncols": None})
            if not state["ncols"] or cell_len(whole) <= state["ncols"]:
                break
        return self.format_meter(**state)

    def _forms(self) -> Iterator[str]:
        figures = self.figures or ("{rate_fmt}",)
        for count in range(len(figures), -1, -1):
            shown = ", ".join(("{elapsed}<{remaining}", *figures[:count]))
            yield f"{{l_bar}}{{bar}}| {{n_fmt}}/{{total_fmt}} [{shown}]"
        yield f"{{l_bar}}{{bar}}| {self.figures[0] if self.figures else '{remaining}'}"
        yield "{desc}: {percentage:3.0f}%"


class _Silent:
    def update(self, n: float | None = 1) -> None:
        """Nothing is said."""


def bar(
    what: str, *, total: int | None = None, quiet: bool = False
) -> AbstractContextManager[Progress]:
    """Counts `total` images in a `with` block: a bar on a terminal, elsewhere lines of text."""
    if quiet or _QUIET.get():
        return nullcontext(_Silent())
    if not is_terminal(sys.stderr):
        return nullcontext(Lines(what, total=total))
    return Bar(
        total=total, desc=what, unit="image", leave=False, dynamic_ncols=True, delay=PATIENCE
    )


def announce(text: str) -> None:
    """Say what is being done next, in a line, but not in a `quietly` block."""
    if not _QUIET.get():
        say(text)


@contextmanager
def quietly(quiet: bool = True) -> Iterator[None]:
    """No bars and lines in a `with` block."""
    before = _QUIET.set(quiet or _QUIET.get())
    try:
        yield
    finally:
        _QUIET.reset(before)


def is_terminal(stream: TextIO) -> bool:
    """Whether a bar can be drawn there: a terminal, not a dumb one, and of a known size."""
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        return False
    try:
        return min(os.get_terminal_size(stream.fileno())) > 0
    except (OSError, ValueError):  # a stream that only plays the terminal (a notebook's)
        return False
