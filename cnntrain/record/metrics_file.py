"""metrics.jsonl and metrics.csv: the run's numbers for programs, each step exactly once."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO

from cnntrain.core.atomic import disk_errors, write_text_atomically
from cnntrain.record.intervals import Record, StepReport
from cnntrain.record.json_text import json_text
from cnntrain.record.totals import data_wait
from cnntrain.train.events import EpochDone, EvalDone, RunStarted

COLUMNS = (
    "epoch",
    "step",
    "train_loss",
    "train_error",
    "validation_loss",
    "validation_error",
    "validation_top5_error",
    "lr",
    "is_best",
    "images",
    "seconds",
    "images_per_second",
    "data_wait",
)


class MetricsFile:
    """Writes one JSON object a report, epoch and evaluation, and one CSV row an epoch.

    The objects have a `type`: "step", "epoch" or "evaluation". Where a run is resumed, what lies
    after the resumed step is cut off first, and so is a last line that was torn by a crash.
    Numbers that are not finite are null in JSON and empty in CSV.

    Args:
        jsonl: the JSON lines file.
        csv: the CSV file.
    """

    def __init__(self, *, jsonl: Path, csv: Path) -> None:
        self._jsonl = _Lines(jsonl)
        self._csv = _Lines(csv)

    def observe(self, event: Record) -> None:
        """Write the event's row, if it has one."""
        if isinstance(event, StepReport):
            self._jsonl.add(json_text({"type": "step"} | vars(event)))
        elif isinstance(event, RunStarted):
            self._jsonl.open(lambda line: _stays_in_json(line, event))
            self._csv.open(lambda line: _stays_in_csv(line, event), header=_csv_line(COLUMNS))
        elif isinstance(event, EvalDone):
            self._jsonl.add(json_text(_evaluation(event)))
        elif isinstance(event, EpochDone):
            row = epoch_row(event)
            self._jsonl.add(json_text({"type": "epoch"} | row))
            self._csv.add(_csv_line(_cell(row[column]) for column in COLUMNS))

    def close(self) -> None:
        """Close both files."""
        self._jsonl.close()
        self._csv.close()


class _Lines:
    """A file of lines that is pruned when opened and then only grows, a whole line at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None

    def open(self, stays: Callable[[str], bool], *, header: str = "") -> None:
        kept = [header] if header else []
        old = ""
        if self._path.exists():
            with disk_errors(self._path):
                old = self._path.read_text(encoding="utf-8", errors="replace")
            # splitlines would also split at characters that JSON strings may hold
            kept += [line for line in old.split("\n")[:-1] if stays(line)]
        text = "".join(f"{line}\n" for line in kept)
        if text != old:
            write_text_atomically(self._path, text)
        with disk_errors(self._path):
            self._file = self._path.open("a", encoding="utf-8", newline="\n")

    def add(self, line: str) -> None:
        assert self._file is not None, "RunStarted comes first"
        with disk_errors(self._path):
            self._file.write(line + "\n")
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            with disk_errors(self._path):
                self._file.close()


def _stays(*, epoch: int, step: int, of_epoch: bool, start: RunStarted) -> bool:
    """Whether a row is of what the resumed state had already done."""
    return step <= start.step and (not of_epoch or epoch <= start.epoch)


def _stays_in_json(line: str, start: RunStarted) -> bool:
    try:
        row = json.loads(line)
        whole = row["type"] != "step"
        return _stays(epoch=row["epoch"], step=row["step"], of_epoch=whole, start=start)
    except (ValueError, KeyError, TypeError):
        return False  # torn


def _stays_in_csv(line: str, start: RunStarted) -> bool:
    cells = line.split(",")
    if len(cells) != len(COLUMNS):
        return False
    try:
        return _stays(epoch=int(cells[0]), step=int(cells[1]), of_epoch=True, start=start)
    except ValueError:
        return False  # torn, or the header, which is written anew


def _evaluation(event: EvalDone) -> dict[str, object]:
    top5 = event.metrics.top5
    return {
        "type": "evaluation",
        "epoch": event.epoch,
        "step": event.step,
        "split": event.split,
        "images": event.metrics.images,
        "loss": event.metrics.loss,
        "error": event.metrics.error,
        "top5_error": None if top5 is None else 1.0 - top5,
        "correct": event.metrics.correct,
        "seconds": event.seconds,
    }


def epoch_row(event: EpochDone) -> dict[str, object]:
    """An epoch under the names of `COLUMNS`."""
    found = event.validation
    top5 = None if found is None else found.top5
    return {
        "epoch": event.epoch,
        "step": event.step,
        "train_loss": event.train_loss,
        "train_error": event.train_error,
        "validation_loss": None if found is None else found.loss,
        "validation_error": None if found is None else found.error,
        "validation_top5_error": None if top5 is None else 1.0 - top5,
        "lr": event.lr,
        "is_best": event.is_best,
        "images": event.images,
        "seconds": event.seconds,
        "images_per_second": event.images / event.seconds if event.seconds > 0 else None,
        "data_wait": data_wait(event.data_seconds, event.seconds),
    }


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _csv_line(cells: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()
