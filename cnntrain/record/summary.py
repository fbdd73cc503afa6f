"""summary.json: how a run ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from cnntrain.core.atomic import write_text_atomically
from cnntrain.record import observer
from cnntrain.record.intervals import Record
from cnntrain.record.json_text import json_text
from cnntrain.record.observe import Observer
from cnntrain.record.totals import Tally
from cnntrain.tasks.protocol import Task
from cnntrain.train.events import EpochDone, EvalDone, RunDone, RunStarted


def _no_facts() -> Mapping[str, object]:
    return {}


@observer("summary", unlisted="every run has it")
class SummaryFile(Observer):
    """Writes the final figures when the run is done.

    Seconds, images and data wait are of the epochs since the run was started or resumed.

    Args:
        summary: the file.
        facts: more entries, asked for at the end (time spent on checkpoints, peak memory).
    """

    def __init__(
        self, *, summary: Path, facts: Callable[[], Mapping[str, object]] = _no_facts
    ) -> None:
        self._path = summary
        self._facts = facts
        self._tally = Tally()

    def observe(self, event: Record) -> None:
        """Count epochs; write at the end."""
        if isinstance(event, RunStarted):
            self._tally.begin(event)
        elif isinstance(event, EpochDone):
            self._tally.add(event)
        elif isinstance(event, EvalDone):
            self._tally.add_evaluation(event)
        elif isinstance(event, RunDone):
            tally = self._tally
            found: dict[str, object] = {
                "reason": event.reason,
                "epoch": event.epoch,
                "step": event.step,
                "best_epoch": event.best_epoch,
                f"best_{tally.select}": event.best_value,
                "last": None if tally.last is None else _figures(tally.last, tally.task),
                "best": None if tally.best is None else _figures(tally.best, tally.task),
                "test": None if tally.test is None else _result(tally.test),
                "seconds": event.seconds,
                "images": tally.images,
                "images_per_second": tally.images_per_second,
                "data_wait": tally.data_wait,
            }
            write_text_atomically(
                self._path, json_text(found | dict(self._facts()), indent=2) + "\n"
            )


def _figures(epoch: EpochDone, task: Task) -> dict[str, object]:
    found = epoch.validation
    return {
        "epoch": epoch.epoch,
        "step": epoch.step,
        "train_loss": epoch.train_loss,
        **{f"train_{name}": value for name, value in epoch.train_figures.items()},
        "validation_loss": None if found is None else found.loss,
        **{f"validation_{name}": found and found.figures[name] for name in task.headline},
    }


def _result(event: EvalDone) -> dict[str, object]:
    """Of the test set, with the weights of that epoch."""
    found = event.metrics
    return {
        "epoch": event.epoch,
        "images": found.images,
        "loss": found.loss,
        **found.figures,
    }
