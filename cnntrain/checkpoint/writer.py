"""Saving checkpoints one at a time, large ones while training continues."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from torch import Tensor

from cnntrain.checkpoint.primitives import State, on_host, size_in_bytes, tensors_in
from cnntrain.checkpoint.store import Stamp, save
from cnntrain.core.atomic import disk_errors
from cnntrain.core.units import byte_size

LOG = logging.getLogger("cnntrain.checkpoints")

LARGE = 16 << 20
"""Bytes from which a checkpoint is written by a thread; smaller ones take a few hundredths of a
second, less than the thread is worth."""

Part: TypeAlias = Callable[[State], State]
"""What of a state is kept."""


@dataclass(frozen=True)
class Saves:
    """What saving has cost: files, bytes, seconds of writing, and of them those training waited."""

    files: int = 0
    bytes: int = 0
    seconds: float = 0.0
    waited: float = 0.0


class Writer:
    """Writes checkpoints; at most one is being written, and none is ever skipped.

    A large one is copied to the host's memory, and written from there by a thread; that memory is
    kept for the next one. It waits for the one before: what is on disk is at most one checkpoint
    behind. An error is raised where the training meets it next, in `write`, `look` or `wait`.

    Args:
        large: bytes from which a checkpoint is written by a thread; None: `LARGE`.
    """

    def __init__(self, *, large: int | None = None) -> None:
        self._done = Saves()
        self._seconds_waited = 0.0
        self._large = LARGE if large is None else large
        self._thread: ThreadPoolExecutor | None = None
        self._begun: Future[None] | None = None
        self._stamp: Stamp | None = None
        self._is_abandoned = False
        self._copies: list[Tensor] = []  # of the latest large one, in its order

    @property
    def saves(self) -> Saves:
        """What saving has cost so far."""
        return replace(self._done, waited=self._seconds_waited)

    def write(
        self,
        path: Path,
        state: State,
        *,
        also: Path | None = None,
        previous: Path | None = None,
        part: Part | None = None,
    ) -> None:
        """Write a state, or begin to, when the one before it is written.

        Args:
            path, also, previous: see `cnntrain.checkpoint.store.save`.
            state: may change as soon as this returns.
            part: what `also` holds of it, which is then a file of its own, there before the other.

        Raises:
            DiskError: this one, or the one before it, could not be written.
        """
        began = time.perf_counter()
        self.wait()
        save_to = partial(self._save, path, also=also, previous=previous, part=part)
        if size_in_bytes(state) < self._large:
            save_to(state)
        else:
            self._thread = self._thread or ThreadPoolExecutor(1, "checkpoint")
            copy = on_host(state, into=self._copies)
            self._copies = list({id(each): each for each in tensors_in(copy)}.values())
            self._begun = self._thread.submit(save_to, copy)
        self._seconds_waited += time.perf_counter() - began

    def look(self) -> None:
        """Raise the error of what was written meanwhile, if there was one; does not wait."""
        if self._begun is not None and self._begun.done():
            self.wait()

    def wait(self) -> None:
        """Return when all is written; raises DiskError if it could not be."""
        if (begun := self._begun) is not None:
            wait([begun])  # an interruption ends this wait, and leaves it begun
            self._begun = None
            begun.result()

    def close(self) -> None:
        """Wait for what is being written, or abandon it where the process is interrupted."""
        self._is_abandoned = isinstance(sys.exception(), KeyboardInterrupt)
        if self._thread is not None:
            self._thread.shutdown()
        if not self._is_abandoned:
            self.wait()

    def _save(
        self,
        path: Path,
        state: State,
        *,
        also: Path | None,
        previous: Path | None,
        part: Part | None,
    ) -> None:
        if also is not None and part is not None:
            self._save_one(also, part(state))
            also = None
        self._stamp = self._save_one(path, state, also=also, previous=previous)

    def _save_one(
        self, path: Path, state: State, *, also: Path | None = None, previous: Path | None = None
    ) -> Stamp:
        began = time.perf_counter()
        with disk_errors(path):
            stamp = save(
                path,
                state,
                also=also,
                previous=previous,
                intact=self._stamp,
                is_abandoned=lambda: self._is_abandoned,
            )
        seconds = time.perf_counter() - began
        names = path if also is None else f"{path} and {also.name}"
        LOG.info("saved %s: %s in %.3f s", names, byte_size(stamp.size), seconds)
        done = self._done
        self._done = Saves(done.files + 1, done.bytes + stamp.size, done.seconds + seconds)
        return stamp
