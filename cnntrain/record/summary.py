"""summary.json: how a run ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from cnntrain.core.atomic import write_text_atomically
from cnntrain.record import observer
from cnntrain.record.json_text import json_text
from cnntrain.record.observe import Observer, Record, Tally, epoch_figures
from cnntrain.tasks.protocol import Task
from cnntrain.train.events import EvalDone, RunDone
from cnntrain.train.so_far import KeptEpoch


@observer("summary", unlisted="every run has it")
class SummaryFile(Observer):
    """Writes the final figures when the run is done.

    Seconds, images and data wait are of all parts of a run that was resumed; the facts are of the
    process that ends it.

    Args:
        summary: the file.
        facts: more entries, asked for at the end (time spent on checkpoints, peak memory).
        before_save: called before, to bring the metrics to disk: a run that has this file is
            complete, and not looked at again.
    """

    sees_steps = False

    output = "summary.json"

    def __init__(
        self,
        *,
        summary: Path,
        facts: Callable[[], Mapping[str, object]] = dict,
        before_save: Callable[[], None] = lambda: None,
    ) -> None:
        self._path = summary
        self._facts = facts
        self._before_save = before_save
        self._tally = Tally()

    def observe(self, event: Record) -> None:
        """Count epochs; write at the end."""
        self._tally.observe(event)
        if isinstance(event, RunDone):
            tally, so_far = self._tally, self._tally.so_far
            found: dict[str, object] = {
                "reason": event.reason,
                "epoch": event.epoch,
                "step": event.step,
                "best_epoch": event.best_epoch,
                f"best_{tally.select}": event.best_value,
                "last": _figures(so_far.last, tally.task),
                "best": _figures(so_far.best, tally.task),
                "test": None if tally.test is None else _result(tally.test),
                "notes": list(event.notes),
                "seconds": event.seconds,
                "images": so_far.images,
                "images_per_second": so_far.images_per_second,
                "data_wait": so_far.data_wait,
                **self._facts(),
            }
            self._before_save()
            write_text_atomically(self._path, json_text(found, indent=2) + "\n")


def _figures(epoch: KeptEpoch | None, task: Task) -> dict[str, object] | None:
    if epoch is None:
        return None
    figures = epoch_figures(epoch, task, validation=task.headline)
    return {"epoch": epoch.epoch, "step": epoch.step, **figures}


def _result(event: EvalDone) -> dict[str, object]:
    """Of the test set, with the weights of that epoch."""
    found = event.metrics
    return {"epoch": event.epoch, "images": found.images, "loss": found.loss, **found.figures}
