"""metrics.jsonl and metrics.csv: the run's numbers for programs, each step exactly once."""

from __future__ import annotations

import csv
import io
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TextIO, TypeAlias

from cnntrain.core.atomic import write_text_atomically
from cnntrain.core.errors import DiskError
from cnntrain.record import observer
from cnntrain.record.growing_file import GrowingFile
from cnntrain.record.json_text import json_text
from cnntrain.record.log import note
from cnntrain.record.metrics_rows import MetricsRow, row_in_csv, row_in_json, what_is_lost
from cnntrain.record.observe import Observer, Record, epoch_figures
from cnntrain.record.window import StepReport
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.protocol import Task
from cnntrain.train.events import EpochDone, EvalDone, RunStarted, Setback

LOG = logging.getLogger("cnntrain.metrics")
Read: TypeAlias = Callable[[str], MetricsRow | None]
_OF_AN_EPOCH = ("lr", "is_best", "images", "seconds", "images_per_second", "data_wait")


def columns(task: Task) -> tuple[str, ...]:
    """The columns of metrics.csv: the loss and the task's figures, of training and validation."""
    return ("epoch", "step", *epoch_figures(None, task, validation=task.figures), *_OF_AN_EPOCH)


def epoch_row(event: EpochDone, *, task: Task) -> dict[str, object]:
    """An epoch under the names of its columns, in their order."""
    return {
        "epoch": event.epoch,
        "step": event.step,
        **epoch_figures(event, task, validation=task.figures),
        **{name: getattr(event, name) for name in _OF_AN_EPOCH},
    }


def row_of(event: Record, *, task: Task) -> dict[str, object] | None:
    """An event as an object of metrics.jsonl; None if it has none there."""
    if isinstance(event, StepReport):
        return {"type": "step"} | vars(event)
    if isinstance(event, EvalDone):
        return _evaluation(event)
    if isinstance(event, Setback):
        return {"type": "setback"} | vars(event)
    return {"type": "epoch"} | epoch_row(event, task=task) if isinstance(event, EpochDone) else None


@observer("metrics_file", unlisted="every run has it")
class MetricsFile(Observer):
    """Writes a JSON object for each report, epoch and evaluation, and a CSV row for each epoch.

    The objects have a `type`: "step", "epoch", "evaluation" or "setback". Where a run is resumed,
    what lies after the resumed step is cut off first, and so is a last line that was torn by a
    crash. Steps that a rollback undoes are cut off, too. Results on the test set stay where a run
    is resumed for more epochs; one at the same step replaces the earlier one.
    Damaged lines are removed, which is said; train.log keeps them.
    Numbers that are not finite are null in JSON and empty in CSV. Rows that cannot be written wait
    until they can (see `GrowingFile`).

    Args:
        metrics_jsonl: the JSON lines file.
        metrics_csv: the CSV file.
        stream: where it is said that lines were damaged; None: only in the log.
    """

    sees_steps = False

    def __init__(
        self, *, metrics_jsonl: Path, metrics_csv: Path, stream: TextIO | None = None
    ) -> None:
        self._stream = stream
        self._task: Task = CLASSIFICATION
        self._jsonl = _Lines(metrics_jsonl)
        self._csv = _Lines(metrics_csv)

    def observe(self, event: Record) -> None:
        """Write the event's row, if it has one."""
        if isinstance(event, RunStarted):
            self._task = event.task
            names = columns(event.task)
            self._csv.head = f"{_csv_line(names)}\n".encode()
            self._begin(self._jsonl, row_in_json, event)
            self._begin(self._csv, partial(row_in_csv, width=len(names)), event)
        elif isinstance(event, EvalDone):
            if event.split != "validation":
                self._jsonl.begin(row_in_json, lambda row: not _is_again(row, event))
        elif isinstance(event, Setback):
            if event.policy == "rollback":  # the steps after it come again
                self._jsonl.begin(row_in_json, lambda row: _stays(row, event))
        elif isinstance(event, EpochDone):
            row = epoch_row(event, task=self._task)
            self._csv.add_line(_csv_line(_cell(value) for value in row.values()))
        if (line := row_of(event, task=self._task)) is not None:
            self._jsonl.add_line(json_text(line))

    def _begin(self, file: _Lines, read: Read, event: RunStarted) -> None:
        damaged, rows = file.begin(read, lambda row: _stays(row, event))
        if not file.trouble and (lost := what_is_lost(damaged, rows, epochs=event.epoch)):
            note(f"{file.path} is not what it was: {lost}", self._stream)

    def close(self) -> None:
        """Close both files."""
        self._jsonl.close()
        self._csv.close()

    def incomplete(self) -> Mapping[str, str]:
        """Which of both files lacks rows, and why."""
        files = (self._jsonl, self._csv)
        return {file.path.name: file.trouble for file in files if file.trouble}


class _Lines(GrowingFile):
    """A file of lines that is pruned before it grows."""

    def begin(
        self, read: Read, stays: Callable[[MetricsRow], bool]
    ) -> tuple[list[int], list[MetricsRow]]:
        """Leave in it the rows that stay; where it cannot be pruned, it stays as it is.

        Returns:
            The numbers of the lines that are damaged, and the rows that stay.
        """
        self.close()
        try:
            old = self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return [], []
        except OSError as error:
            self.give_up(error.strerror or str(error))
            return [], []
        head = self.head.decode()
        # splitlines would also split at characters that JSON strings may hold
        lines = old.removeprefix(head).split("\n")[:-1]
        found = [(line, read(line)) for line in lines]
        kept = [(line, row) for line, row in found if row is not None and stays(row)]
        text = head + "".join(f"{line}\n" for line, _ in kept)
        if text != old:
            try:
                write_text_atomically(self.path, text)
            except DiskError as error:
                self.give_up(error.problems[0].message)
        first = 2 if head and old.startswith(head) else 1
        damaged = [n for n, (_, row) in enumerate(found, start=first) if row is None]
        for number in damaged:
            LOG.warning("%s, line %d: %s", self.path, number, lines[number - first])
        return damaged, [row for _, row in kept]

    def add_line(self, line: str) -> None:
        """Append a line."""
        self.add(f"{line}\n".encode())


def _stays(row: MetricsRow, start: RunStarted | Setback) -> bool:
    """Whether a row is of what the resumed state had already done."""
    return row.step <= start.step and (row.kind == "step" or row.epoch <= start.epoch)


def _is_again(row: MetricsRow, event: EvalDone) -> bool:
    """Whether a row is an earlier result of the evaluation that follows a run's last epoch."""
    return (row.kind, row.split, row.step) == ("evaluation", event.split, event.step)


def _evaluation(event: EvalDone) -> dict[str, object]:
    return {
        "type": "evaluation",
        "epoch": event.epoch,
        "step": event.step,
        "split": event.split,
        "images": event.metrics.images,
        "loss": event.metrics.loss,
        **event.metrics.figures,
        "seconds": event.seconds,
    }


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _csv_line(cells: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()
