"""train.log: what happened and when, with the tracebacks that the terminal is spared."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cnntrain.core.atomic import disk_errors
from cnntrain.record import observer
from cnntrain.record.intervals import Record
from cnntrain.record.observe import Observer
from cnntrain.train.events import EpochDone, EvalDone, RunDone, RunStarted

LOG = logging.getLogger("cnntrain.run")


@contextlib.contextmanager
def log_to(path: Path, *, level: int = logging.INFO) -> Iterator[None]:
    """Append what cnntrain logs to a file while the block runs; an error with its traceback.

    Args:
        path: the file.
        level: the least level that is written.
    """
    logger = logging.getLogger("cnntrain")
    before = logger.level
    with disk_errors(path):
        handler = logging.FileHandler(path, encoding="utf-8")
    handler.setLevel(level)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)
    if logger.getEffectiveLevel() > level:
        logger.setLevel(level)
    try:
        yield
    except BaseException as error:
        LOG.exception("ended by %s", type(error).__name__)
        raise
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        handler.close()


@observer("log", unlisted="every run has it")
class EventLog(Observer):
    """Logs the start, the epochs, the evaluations and the end of a run."""

    def __init__(self) -> None:
        self._headline: Sequence[str] = ()
        self._select = ""

    def observe(self, event: Record) -> None:
        """Log the event; steps are left to the metrics file."""
        if isinstance(event, RunStarted):
            self._headline, self._select = event.task.headline, event.select
            LOG.info(
                "training starts at epoch %d, step %d; %d epochs of %d steps",
                event.epoch,
                event.step,
                event.epochs,
                event.steps_per_epoch,
            )
        elif isinstance(event, EvalDone):
            LOG.info(
                "epoch %d, step %d: %s loss %.6g%s over %d images, %.3f s",
                event.epoch,
                event.step,
                event.split,
                event.metrics.loss,
                _listed({name: event.metrics.figures[name] for name in self._headline}),
                event.metrics.images,
                event.seconds,
            )
        elif isinstance(event, EpochDone):
            LOG.info(
                "epoch %d, step %d: training loss %.6g%s, lr %.6g, %d images, %.3f s%s",
                event.epoch,
                event.step,
                event.train_loss,
                _listed(event.train_figures),
                event.lr,
                event.images,
                event.seconds,
                ", best" if event.is_best else "",
            )
        elif isinstance(event, RunDone):
            LOG.info(
                "%s at epoch %d, step %d after %.3f s; best %s %s at epoch %s",
                event.reason,
                event.epoch,
                event.step,
                event.seconds,
                self._select,
                event.best_value,
                event.best_epoch,
            )


def _listed(figures: Mapping[str, float | None]) -> str:
    return "".join(f", {name} {value:.6g}" for name, value in figures.items() if value is not None)
