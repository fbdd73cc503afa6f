"""How many pixels the threads that read images hold at once: large images wait for one another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Lock, local


class Budget:
    """Shared by all threads of a process.

    Args:
        pixels: that may be held at once; a larger image is let through when nothing else is held.
    """

    def __init__(self, pixels: int) -> None:
        self._pixels = self._free = pixels
        self._freed = Condition()
        self._turn = Lock()  # whoever waits is not overtaken for ever by smaller images
        self._mine = local()

    @contextmanager
    def job(self) -> Iterator[None]:
        """What a thread takes inside of the block is held until its end."""
        self._mine.held = 0
        try:
            yield
        finally:
            held, self._mine.held = self._mine.held, None
            self._give(held)

    @contextmanager
    def held(self, pixels: int) -> Iterator[None]:
        """Wait for so many, and hold them: to the end of the thread's job, or else of the block.

        A job that holds some already does not wait: two could wait for each other.
        """
        in_job = getattr(self._mine, "held", None) is not None
        if in_job and self._mine.held:
            yield
            return
        wanted = min(pixels, self._pixels)
        with self._turn, self._freed:
            self._freed.wait_for(lambda: self._free >= wanted)
            self._free -= wanted
        if in_job:
            self._mine.held = wanted
        try:
            yield
        finally:
            if not in_job:
                self._give(wanted)

    def _give(self, pixels: int) -> None:
        with self._freed:
            self._free += pixels
            self._freed.notify_all()
