"""Keeping checkpoints: the last state, the one before it, and the best."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cnntrain.checkpoint import State
from cnntrain.core.atomic import disk_errors
from cnntrain.core.errors import DivergedError
from cnntrain.core.units import byte_size
from cnntrain.record import observer
from cnntrain.record.observe import Observer, Record
from cnntrain.train.events import EpochDone, RunDone, RunStarted, Setback, StepDone

LOG = logging.getLogger("cnntrain.checkpoints")


@dataclass(frozen=True)
class Saves:
    """What keeping checkpoints has cost so far: files, seconds, bytes written."""

    files: int = 0
    seconds: float = 0.0
    bytes: int = 0


@observer("checkpoints", unlisted="every run has it")
class CheckpointKeeper(Observer):
    """Saves last.pt at start, after epochs and rollbacks, every N steps, when stopped; best.pt.

    Training waits at its `yield` meanwhile, so the state is whole. There is a whole last.pt at
    every moment from before the first batch on, so that a run can be resumed whenever it is
    killed; the one before it is kept as previous.pt. best.pt is written
    first, as a file of its own, so that no last.pt ever speaks of a best that is not there.

    Args:
        checkpoints: the folder of the files.
        snapshot: gives the state to save, taken once for all files of one moment.
        save: writes a state to a path, at once or not at all; keeps what was there as `previous`.
        checkpoint_every: optimizer steps between two saves besides those of the epochs; None for
            none.
        finite: whether all parameters are finite; a state that is not is never saved.
        before_save: called before each save, to bring the metrics to disk first.
        last_is_current: whether last.pt holds the state that training starts from. Where not, it
            is written at once; what lies there is damaged, of a time that was gone back from, or
            of other settings, and not worth keeping.
    """

    is_essential = True

    def __init__(
        self,
        *,
        checkpoints: Path,
        snapshot: Callable[[], State],
        save: Callable[..., None],
        checkpoint_every: int | None = None,
        finite: Callable[[], bool] = lambda: True,
        before_save: Callable[[], None] = lambda: None,
        last_is_current: bool = False,
    ) -> None:
        assert checkpoint_every is None or checkpoint_every >= 1
        self.saves = Saves()
        self._folder = checkpoints
        self._snapshot = snapshot
        self._save = save
        self._every_steps = checkpoint_every
        self._finite = finite
        self._before_save = before_save
        self._last_is_current = last_is_current
        self._saved_step: int | None = None

    def observe(self, event: Record) -> None:
        """Save, if this is a moment to."""
        if isinstance(event, RunStarted):
            self._start(event.step)
        elif isinstance(event, StepDone):
            if self._every_steps and event.step % self._every_steps == 0:
                self._keep(event.step, is_best=False)
        elif isinstance(event, EpochDone):
            self._keep(event.step, is_best=event.is_best)
        elif isinstance(event, Setback) and event.policy == "rollback":
            self._keep(event.step, is_best=False)  # so that it is not forgotten
        elif isinstance(event, RunDone) and event.step != self._saved_step:
            self._keep(event.step, is_best=False)

    def _start(self, step: int) -> None:
        if self._last_is_current:
            self._saved_step = step
            return
        with suppress(DivergedError):  # of such weights the first step says what is wrong
            self._keep(step, is_best=False, is_first=True)

    def _keep(self, step: int, *, is_best: bool, is_first: bool = False) -> None:
        if not self._finite():
            LOG.warning("step %d: not saved because some parameters are not finite", step)
            return
        self._before_save()
        state = self._snapshot()
        if is_best:
            self._write("best.pt", state)
        previous = None if is_first else self._folder / "previous.pt"
        self._write("last.pt", state, previous=previous)
        self._saved_step = step

    def _write(self, name: str, state: State, *, previous: Path | None = None) -> None:
        path = self._folder / name
        began = time.perf_counter()
        with disk_errors(path):
            self._save(path, state, previous=previous)
            size = path.stat().st_size
        seconds = time.perf_counter() - began
        LOG.info("saved %s: %s in %.3f s", path, byte_size(size), seconds)
        done = self.saves
        self.saves = Saves(done.files + 1, done.seconds + seconds, done.bytes + size)
