"""metrics.jsonl and metrics.csv: the run's numbers for programs, each step exactly once."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from cnntrain.core.atomic import write_text_atomically
from cnntrain.core.errors import DiskError
from cnntrain.record import observer
from cnntrain.record.growing_file import GrowingFile
from cnntrain.record.json_text import json_text
from cnntrain.record.observe import Observer, Record, epoch_figures
from cnntrain.record.window import StepReport
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.protocol import Task
from cnntrain.train.events import EpochDone, EvalDone, RunStarted, Setback

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


@observer("metrics_file", unlisted="every run has it")
class MetricsFile(Observer):
    """Writes one JSON object a report, epoch and evaluation, and one CSV row an epoch.

    The objects have a `type`: "step", "epoch", "evaluation" or "setback". Where a run is resumed,
    what lies after the resumed step is cut off first, and so is a last line that was torn by a
    crash. Steps that a rollback undoes are cut off, too. Results on the test set stay where a run
    is resumed for more epochs; one at the same step replaces the earlier one.
    Numbers that are not finite are null in JSON and empty in CSV. Rows that cannot be written wait
    until they can (see `GrowingFile`).

    Args:
        metrics_jsonl: the JSON lines file.
        metrics_csv: the CSV file.
    """

    def __init__(self, *, metrics_jsonl: Path, metrics_csv: Path) -> None:
        self._task: Task = CLASSIFICATION
        self._jsonl = _Lines(metrics_jsonl)
        self._csv = _Lines(metrics_csv)

    def observe(self, event: Record) -> None:
        """Write the event's row, if it has one."""
        if isinstance(event, StepReport):
            self._jsonl.add_line(json_text({"type": "step"} | vars(event)))
        elif isinstance(event, RunStarted):
            self._task = event.task
            self._csv.head = f"{_csv_line(columns(event.task))}\n".encode()
            self._jsonl.begin(lambda line: _stays_in_json(line, event))
            self._csv.begin(lambda line: _stays_in_csv(line, event))
        elif isinstance(event, EvalDone):
            if event.split != "validation":
                self._jsonl.begin(lambda line: not _is_again(line, event))
            self._jsonl.add_line(json_text(_evaluation(event)))
        elif isinstance(event, Setback):
            if event.policy == "rollback":  # the steps after it come again
                self._jsonl.begin(lambda line: _stays_in_json(line, event))
            self._jsonl.add_line(json_text({"type": "setback"} | vars(event)))
        elif isinstance(event, EpochDone):
            row = epoch_row(event, task=self._task)
            self._jsonl.add_line(json_text({"type": "epoch"} | row))
            self._csv.add_line(_csv_line(_cell(value) for value in row.values()))

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

    def begin(self, stays: Callable[[str], bool]) -> None:
        """Leave in it the lines that stay; where it cannot be pruned, it stays as it is."""
        self.close()
        try:
            old = self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return
        except OSError as error:
            self.give_up(error.strerror or str(error))
            return
        # splitlines would also split at characters that JSON strings may hold
        kept = [line for line in old.split("\n")[:-1] if stays(line)]
        text = self.head.decode() + "".join(f"{line}\n" for line in kept)
        if text != old:
            try:
                write_text_atomically(self.path, text)
            except DiskError as error:
                self.give_up(error.problems[0].message)

    def add_line(self, line: str) -> None:
        """Append a line."""
        self.add(f"{line}\n".encode())


def _stays(start: RunStarted | Setback, *, epoch: int, step: int, of_epoch: bool) -> bool:
    """Whether a row is of what the resumed state had already done."""
    return step <= start.step and (not of_epoch or epoch <= start.epoch)


def _stays_in_json(line: str, start: RunStarted | Setback) -> bool:
    try:
        row = json.loads(line)
        of_epoch = row["type"] != "step"
        return _stays(start, epoch=row["epoch"], step=row["step"], of_epoch=of_epoch)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False  # torn


def _is_again(line: str, event: EvalDone) -> bool:
    """Whether a row is an earlier result of the evaluation that follows a run's last epoch."""
    same = {"type": "evaluation", "split": event.split, "step": event.step}
    try:
        row = json.loads(line)
        return all(row.get(key) == value for key, value in same.items())
    except (ValueError, AttributeError, RecursionError):
        return True  # damaged meanwhile


def _stays_in_csv(line: str, start: RunStarted) -> bool:
    cells = line.split(",")
    if len(cells) != len(columns(start.task)):
        return False
    try:
        return _stays(start, epoch=int(cells[0]), step=int(cells[1]), of_epoch=True)
    except ValueError:
        return False  # torn, or the header, which is written again


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
