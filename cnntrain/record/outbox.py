"""A run's figures on their way to a tracker: each once, also where the run is resumed."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnntrain.core.atomic import write_text_atomically
from cnntrain.record.json_text import json_text
from cnntrain.record.metrics_file import row_of
from cnntrain.record.metrics_rows import row_in_json
from cnntrain.record.observe import Record
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.protocol import Task
from cnntrain.train.events import RunStarted, Setback, StepDone

LOG = logging.getLogger("cnntrain.run")
AT_ONCE = 40
"""Points sent together."""
PATIENCE = 20
"""After a failure that took a second nothing is sent for so many: at most 5 % of the time."""
REPORTS_WAIT = 30.0
"""Seconds for which reports may wait for more of them."""


@dataclass(frozen=True)
class Point:
    """The figures of a report ("step"), an epoch, or the evaluation of a split, by name."""

    kind: str
    step: int
    values: Mapping[str, float]


def point_of(row: Mapping[str, Any]) -> Point | None:
    """A row of metrics.jsonl as a tracker has it; None if it has nothing of its own.

    An epoch's figures have the names of metrics.csv; a report's begin with `step/`, those of the
    last evaluation with its split. What is not finite, empty in metrics.csv, is left out.
    """
    kind = row.get("split", row["type"])
    if kind in ("validation", "setback"):  # validation comes again with its epoch
        return None
    prefix = {"epoch": "", "step": "step/"}.get(kind, f"{kind}_")
    values = {
        prefix + name: float(value)
        for name, value in row.items()
        if isinstance(value, int | float) and math.isfinite(value)
        if name not in ("step", "batch") and (name, kind) != ("epoch", "step")
    }
    return Point(kind, row["step"], values)


class Outbox:
    """Keeps points until a tracker has taken them; no failure of the tracker leaves it.

    Its file in the run's folder holds which run of the tracker this is (`known`), and up to which
    step it has each kind of point. A resumed run sends what metrics.jsonl has and the tracker has
    not, and repeats nothing. The steps after a rollback come again: no tracker takes points back,
    so it has these steps twice.

    Args:
        file: that file; None for a training without a folder.
        place: where the tracker is, in the run file's words: with another one, a resumed run is a
            new one there, which gets all points.
        metrics_jsonl: the run's metrics, written before its observers see an event.
        send: gives points to the tracker, all or none; may raise anything.
    """

    def __init__(
        self,
        file: Path | None,
        *,
        place: Sequence[str | None],
        metrics_jsonl: Path | None,
        send: Callable[[Sequence[Point]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file, self._place, self._metrics = file, list(place), metrics_jsonl
        self._send, self._clock = send, clock
        self._task: Task = CLASSIFICATION
        self._waiting: list[Point] = []
        self._not_before = self._sent_at = -math.inf
        self.known: dict[str, Any] = {}
        self.sent: dict[str, int] = {}
        self.trouble = ""

    def observe(self, event: Record) -> None:
        """Take the event's point, and send what is due."""
        if isinstance(event, StepDone):
            return
        if isinstance(event, RunStarted):
            self._task = event.task
            self._read()
        elif isinstance(event, Setback) and event.policy == "rollback":
            self._waiting = [point for point in self._waiting if point.step <= event.step]
            self.sent = {kind: min(step, event.step) for kind, step in self.sent.items()}
            self.keep()
        row = row_of(event, task=self._task)
        found = None if row is None else point_of(row)
        if found is not None:
            self._put(found)
        is_report = found is not None and found.kind == "step"
        if not is_report or self._clock() - self._sent_at >= REPORTS_WAIT:
            self.flush()

    def flush(self, *, last: bool = False) -> None:
        """Send what waits; after a failure not at once again, but for the last time."""
        began = self._clock()
        if began < self._not_before and not last:
            return
        try:
            self._send_all()
        except Exception as error:  # noqa: BLE001 # a tracker never ends a training
            now = self._clock()
            self._not_before = now + PATIENCE * (now - began)
            self.trouble = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            return
        self._sent_at, self.trouble = began, ""

    def keep(self) -> None:
        """Keep in the run's folder what the tracker has."""
        if self._file is not None:
            values = self.known | {"place": self._place, "sent": self.sent}
            write_text_atomically(self._file, json_text(values, indent=2) + "\n")

    def _send_all(self) -> None:
        while True:
            part = self._waiting[:AT_ONCE]
            self._send(part)
            del self._waiting[: len(part)]
            self.sent |= {point.kind: point.step for point in part}
            self.keep()
            if not self._waiting:
                return

    def _put(self, point: Point) -> None:
        if point.step > self.sent.get(point.kind, -1):
            self._waiting.append(point)

    def _read(self) -> None:
        if self._file is not None and self._file.is_file():
            try:
                found = json.loads(self._file.read_text("utf-8"))
                place, sent = found.pop("place"), dict(found.pop("sent"))
            except (ValueError, LookupError, TypeError, AttributeError):
                LOG.warning(f"{self._file} is damaged: the tracker has this run a second time")
            else:
                if place == self._place:
                    self.known, self.sent = found, sent
        if self._metrics is not None and self._metrics.is_file():
            for row in map(row_in_json, self._metrics.read_text("utf-8").split("\n")):
                point = None if row is None else point_of(row.values)
                if point is not None:
                    self._put(point)
