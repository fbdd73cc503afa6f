"""Keeping checkpoints: the last state, the one before it, and the best."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cnntrain.checkpoint import LAST, PREVIOUS, State
from cnntrain.checkpoint.writer import Part, Writer
from cnntrain.core.errors import DivergedError
from cnntrain.record import observer
from cnntrain.record.observe import Observer, Record
from cnntrain.train.events import EpochDone, RunDone, RunStarted, Setback, StepDone

LOG = logging.getLogger("cnntrain.checkpoints")


@observer("checkpoints", unlisted="every run has it")
class CheckpointKeeper(Observer):
    """Saves last.pt at start, after epochs and rollbacks, every N steps, when stopped; best.pt.

    Training waits at its `yield` meanwhile, so the state is whole. There is a whole last.pt at
    every moment from before the first batch on, so that a run can be resumed whenever it is
    killed; the one before it is kept as previous.pt. What is both the best and the last state is
    one file with two names, best.pt first, so that no last.pt ever speaks of a best that is not
    there; with `best_part` they are two files, written in that order. A large one is written while
    training continues; that is over before the run's end.

    Args:
        checkpoints: the folder of the files.
        snapshot: gives the state to save, taken once for all files of one moment.
        writer: writes the states.
        checkpoint_every: optimizer steps between two saves besides those of the epochs; None for
            none.
        best_part: what of a state best.pt holds; None: all of it.
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
        writer: Writer,
        checkpoint_every: int | None = None,
        best_part: Part | None = None,
        finite: Callable[[], bool] = lambda: True,
        before_save: Callable[[], None] = lambda: None,
        last_is_current: bool = False,
    ) -> None:
        assert checkpoint_every is None or checkpoint_every >= 1
        self._folder = checkpoints
        self._snapshot = snapshot
        self._writer = writer
        self._every_steps = checkpoint_every
        self._best_part = best_part
        self._finite = finite
        self._before_save = before_save
        self._last_is_current = last_is_current
        self._saved_step: int | None = None

    def observe(self, event: Record) -> None:
        """Save, if this is a moment to."""
        self._writer.look()
        if isinstance(event, RunStarted):
            self._start(event.step)
        elif isinstance(event, StepDone):
            if self._every_steps and event.step % self._every_steps == 0:
                self._keep(event.step)
        elif isinstance(event, EpochDone):
            self._keep(event.step, is_best=event.is_best)
        elif isinstance(event, Setback) and event.policy == "rollback":
            self._keep(event.step)  # so that it is not forgotten
        elif isinstance(event, RunDone):
            if event.step != self._saved_step:
                self._keep(event.step)
            self._writer.wait()

    def close(self) -> None:
        """Wait for what is being written, unless the process is interrupted."""
        self._writer.close()

    def _start(self, step: int) -> None:
        if self._last_is_current:
            self._saved_step = step
            return
        with suppress(DivergedError):  # of such weights the first step says what is wrong
            self._keep(step, is_first=True)
        self._writer.wait()

    def _keep(self, step: int, *, is_best: bool = False, is_first: bool = False) -> None:
        if not self._finite():
            LOG.warning("step %d: not saved because some parameters are not finite", step)
            return
        self._before_save()
        best, previous = (self._folder / name for name in ("best.pt", PREVIOUS))
        self._writer.write(
            self._folder / LAST,
            self._snapshot(),
            also=best if is_best else None,
            part=self._best_part,
            previous=None if is_first else previous,
        )
        self._saved_step = step
