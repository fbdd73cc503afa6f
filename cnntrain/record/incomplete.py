"""Outputs of a run that fail: training continues without them, and what is missing is said once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cnntrain.core.errors import DiskError
from cnntrain.core.stderr import say

LOG = logging.getLogger("cnntrain.run")


@dataclass
class Gap:
    """What is missing of one output, and from which epoch to which; `until` None: to the end."""

    cause: str
    since: int
    until: int | None = None
    at_the_end: bool = False

    def sentence(self, output: str) -> str:
        """`metrics.csv is incomplete: No space left on device, from epoch 2 on`."""
        if self.at_the_end:
            return f"{output} lacks the end of the run: {self.cause}"
        until = " on" if self.until is None else f" to epoch {self.until}"
        return f"{output} is incomplete: {self.cause}, from epoch {self.since}{until}"


class Gaps:
    """Runs observers, and takes note of what fails.

    An observer has failed when it raises an OSError or a DiskError, or one of its class's
    `forgiven`; or when its `incomplete()` says so. After an exception in its first event it is off
    for good. After another one it is spared the single steps, and asked again with each report,
    evaluation and epoch, because a disk may have space again. What is essential (see `Observer`)
    is not forgiven, and any other exception is a bug, which is to be seen: it ends the training.
    """

    def __init__(self) -> None:
        self.epoch = 1
        self.is_over = False
        self._raised: dict[int, Gap] = {}
        self._names: dict[int, str] = {}
        self._stated: dict[int, dict[str, Gap]] = {}
        self._off: set[int] = set()

    def has_failed(self, observer: object) -> bool:
        """Whether the observer has raised an exception."""
        return id(observer) in self._raised

    def run(self, observer: Any, event: object, *, is_first: bool = False) -> None:
        """Hand an observer an event."""
        if id(observer) in self._off:
            return
        gap = self._raised.get(id(observer))
        if self._succeeds(observer, observer.observe, event):
            if gap is not None and gap.until is None:
                gap.until = self.epoch
        elif is_first:
            self._off.add(id(observer))

    def close(self, observer: Any) -> None:
        """Close an observer, and ask it what is incomplete."""
        self._succeeds(observer, observer.close)
        self.look(observer)

    def _succeeds(self, observer: Any, act: Callable[..., object], *given: object) -> bool:
        try:
            act(*given)
        except Exception as error:  # what is not forgiven is raised
            if not _is_forgiven(observer, error):
                raise
            self._note(observer, error)
            return False
        return True

    def look(self, observer: Any) -> None:
        """Ask an observer what is incomplete of what it writes."""
        ask: Callable[[], dict[str, str]] | None = getattr(observer, "incomplete", None)
        found = {} if ask is None else ask()
        before = self._stated.setdefault(id(observer), {})
        for name in before.keys() - found.keys():
            del before[name]
            _log(f"{name} is complete again")
        for name, cause in found.items():
            if name not in before:
                before[name] = Gap(cause, self.epoch, at_the_end=self.is_over)
                _log(f"{name}: {cause}; training continues")
            before[name].cause = cause

    def report(self) -> None:
        """Say on the error stream what is missing in the end."""
        gaps = [pair for found in self._stated.values() for pair in found.items()]
        gaps += [(self._names[key], gap) for key, gap in self._raised.items()]
        for output, gap in gaps:
            say(gap.sentence(output))

    def _note(self, observer: Any, error: Exception) -> None:
        cause = _cause(error)
        key = id(observer)
        if key in self._raised:
            self._raised[key].until = None
            return
        made = getattr(observer, "output", "")
        self._names[key] = made or f"the output of {type(observer).__name__}"
        self._raised[key] = Gap(cause, self.epoch, at_the_end=self.is_over)
        is_of_system = isinstance(error, OSError | DiskError)
        _log(f"{self._names[key]}: {cause}; training continues", None if is_of_system else error)


def _is_forgiven(observer: object, error: Exception) -> bool:
    if getattr(observer, "is_essential", False):
        return False
    return isinstance(error, (OSError, DiskError, *getattr(observer, "forgiven", ())))


def _cause(error: Exception) -> str:
    if isinstance(error, DiskError) and isinstance(error.__cause__, OSError):
        error = error.__cause__
    if isinstance(error, DiskError):
        return error.problems[0].message
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"{type(error).__name__}: {error}"


def _log(text: str, error: Exception | None = None) -> None:
    if LOG.hasHandlers():  # without one Python would print it at once
        LOG.warning(text, exc_info=error)
