"""train.log: what happened and when, with the tracebacks that the terminal is spared."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

from cnntrain.core.escapes import escaped
from cnntrain.core.stderr import PlainLines, say
from cnntrain.record import observer
from cnntrain.record.growing_file import GrowingFile
from cnntrain.record.observe import Observer, Record, Tally
from cnntrain.show.words import counted
from cnntrain.train.events import EpochDone, EvalDone, RunDone, RunStarted, Setback

LOG = logging.getLogger("cnntrain.run")


def note(text: str, stream: TextIO | None) -> None:
    """Say once, in the log and to whoever watches, what a person should know of a run's files."""
    LOG.warning(text)
    if stream is not None:
        with contextlib.suppress(OSError, ValueError):  # nobody watches any more
            stream.write(f"note: {escaped(text)}\n")


class _LogFile(logging.Handler):
    """Appends lines to a file, which may fail."""

    def __init__(self, path: Path) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(PlainLines("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self.file = GrowingFile(path)

    def emit(self, record: logging.LogRecord) -> None:
        self.file.add(f"{self.format(record)}\n".encode(errors="replace"))


@contextlib.contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Append what cnntrain logs to a file while the block runs; an error with its traceback.

    What is missing in the file in the end is said on the error stream.
    """
    logger = logging.getLogger("cnntrain")
    before = logger.level
    handler = _LogFile(path)
    logger.addHandler(handler)
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
    try:
        yield
    except BaseException as error:
        LOG.exception("ended by %s", type(error).__name__)
        raise
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        handler.file.close()
        if handler.file.trouble:
            say(f"{path.name} is incomplete: {handler.file.trouble}")


@observer("log", unlisted="every run has it")
class EventLog(Observer):
    """Logs the start, the epochs, the evaluations and the end of a run."""

    sees_steps = False

    def __init__(self) -> None:
        self._tally = Tally()

    def observe(self, event: Record) -> None:
        """Log the event; steps are left to the metrics file."""
        self._tally.observe(event)
        if isinstance(event, RunStarted):
            LOG.info(
                f"training starts at epoch {event.epoch}, step {event.step}; "
                f"{counted(event.epochs, 'epoch')} of {counted(event.steps_per_epoch, 'step')}"
            )
        elif isinstance(event, EvalDone):
            found = event.metrics
            figures = {name: found.figures[name] for name in self._tally.task.headline}
            LOG.info(
                f"epoch {event.epoch}, step {event.step}: {event.split} loss {found.loss:.6g}"
                f"{_listed(figures)} over {found.images} images, {event.seconds:.3f} s"
            )
        elif isinstance(event, EpochDone):
            LOG.info(
                f"epoch {event.epoch}, step {event.step}: training loss {event.train_loss:.6g}"
                f"{_listed(event.train_figures)}, lr {event.lr:.6g}, {event.images} images, "
                f"{event.seconds:.3f} s{', best' if event.is_best else ''}"
            )
        elif isinstance(event, Setback):
            LOG.warning(event.text)
        elif isinstance(event, RunDone):
            LOG.info(
                f"{event.reason} at epoch {event.epoch}, step {event.step} after "
                f"{event.seconds:.3f} s; best {self._tally.select} {event.best_value} "
                f"at epoch {event.best_epoch}"
            )
            for note in event.notes:
                LOG.warning(note)


def _listed(figures: Mapping[str, float | None]) -> str:
    return "".join(f", {name} {value:.6g}" for name, value in figures.items() if value is not None)
