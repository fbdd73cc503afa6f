"""What a run has written down, read back: how it ended, its results, its classes.

Whatever is damaged is a CheckpointError that names the file and, of metrics.jsonl, the line. A
last line without its end is what an interrupted run leaves: it is not looked at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from cnntrain.core.errors import CheckpointError
from cnntrain.record.metrics_rows import row_in_json
from cnntrain.runs.folder import RunFolder

_REMEDY = "put a copy of it there, or train the run again"

Figures: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Results:
    """The evaluations of a run that is complete, each as in metrics.jsonl; None: there is none.

    Args:
        path: metrics.jsonl.
        last, best: on the validation images, after the last epoch and after the best one.
        test: on the test images.
    """

    path: Path
    last: Figures | None
    best: Figures | None
    test: Figures | None

    def number(self, row: Figures | None, name: str) -> Any:
        """A figure of one of the rows; None where it was not finite.

        Raises:
            CheckpointError: there is no such row, or it has no such number.
        """
        found = {} if row is None else row
        if not isinstance(found.get(name, ""), int | float | None):
            what = "the validation that is asked for" if row is None else f"a number '{name}'"
            raise CheckpointError(f"{self.path} is damaged: it lacks {what}", remedy=_REMEDY)
        return found[name]


def read_text(path: Path) -> str:
    """A text file of a run.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    try:
        return path.read_text("utf-8")
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing", remedy=_REMEDY) from error
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is damaged: it is not UTF-8", remedy=_REMEDY) from error
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}"
        raise CheckpointError(message, remedy=_REMEDY) from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of a run; for what it raises see `read_text`."""
    try:
        found = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: {error}", remedy=_REMEDY) from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path} is damaged: it holds no mapping", remedy=_REMEDY)
    return found


def read_classes(run: RunFolder) -> list[str]:
    """The class names, in the order of the outputs; for what it raises see `read_text`."""
    return read_text(run.classes).splitlines()


def ending(run: RunFolder) -> dict[str, Any] | None:
    """summary.json of a run that is complete.

    None where it was stopped or killed, or that file is damaged: resumed, it writes it again.
    """
    try:
        found = read_json(run.summary)
    except CheckpointError:
        return None
    return found if found.get("reason", "stopped") != "stopped" else None


def read_results(run: RunFolder) -> Results:
    """The evaluations of a run that is complete; what summary.json repeats of them must agree.

    Raises:
        CheckpointError: one of both files is missing or damaged.
    """
    summary, rows = read_json(run.summary), _evaluations(run.metrics_jsonl)
    validations = [row for row in rows if row["split"] == "validation"]
    tests = [row for row in rows if row["split"] == "test"]
    bests = [row for row in validations if row["epoch"] == summary.get("best_epoch")]
    last, best, test = (each[-1] if each else None for each in (validations, bests, tests))
    repeated = (last, "last", "validation_"), (best, "best", "validation_"), (test, "test", "")
    for row, name, prefix in repeated:
        figures = summary.get(name) or {}  # an earlier version's has fewer
        for key, value in (row or {}).items():
            repeated_value = figures.get(f"{prefix}{key}", value)
            if value != repeated_value:
                raise CheckpointError(
                    f"{run.metrics_jsonl} and {run.summary} do not agree, so one is damaged: the "
                    f"{key} of '{name}' is {value} in one and {repeated_value} in the other",
                    remedy=_REMEDY,
                )
    return Results(run.metrics_jsonl, last, best, test)


def _evaluations(path: Path) -> Sequence[Figures]:
    """All evaluations, in order."""
    found = []
    for number, line in enumerate(read_text(path).split("\n")[:-1], start=1):
        row = row_in_json(line)
        if row is None:
            raise CheckpointError(f"line {number} of {path} is damaged", remedy=_REMEDY)
        if row.kind == "evaluation":
            found.append(row.values)
    return found
