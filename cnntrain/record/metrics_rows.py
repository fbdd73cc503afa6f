"""The lines of metrics.jsonl and metrics.csv read back: where each belongs, which are damaged."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from cnntrain.show.words import listed

_TAGS = {"step": "step/loss", "epoch": "loss", "evaluation": "loss"}
KINDS = ("step", "epoch", "evaluation", "setback")


@dataclass(frozen=True)
class MetricsRow:
    """A line and where it belongs: `kind` is its type in metrics.jsonl, "epoch" in metrics.csv.

    `split` is that of an evaluation; `values` are all that a line of metrics.jsonl has.
    """

    kind: str
    epoch: int
    step: int
    split: str
    values: Mapping[str, Any]


def row_in_json(line: str) -> MetricsRow | None:
    """A line of metrics.jsonl; None if it is damaged."""
    try:
        found = json.loads(line)
        row = MetricsRow(
            found["type"], found["epoch"], found["step"], found.get("split", ""), found
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    is_known = row.kind in KINDS and isinstance(row.split, str)
    return row if is_known and type(row.epoch) is type(row.step) is int else None


def row_in_csv(line: str, *, width: int) -> MetricsRow | None:
    """A line of metrics.csv that has so many columns; None if it is damaged, or the header."""
    cells = line.split(",")
    try:
        for cell in filter(None, cells):
            float(cell)
        row = MetricsRow("epoch", int(cells[0]), int(cells[1]), "", {})
    except (ValueError, IndexError):
        return None
    return row if len(cells) == width else None


def what_is_lost(damaged: Iterable[int], rows: Iterable[MetricsRow], *, epochs: int) -> str:
    """What to say of a file that should have the rows of so many epochs; empty if it has them."""
    numbers = list(damaged)
    there = {row.epoch for row in rows if row.kind == "epoch"}
    gone = [epoch for epoch in range(1, epochs + 1) if epoch not in there]
    many = "line {} was" if len(numbers) == 1 else "lines {} were"
    said = [f"its damaged {many.format(listed(numbers))} removed"] if numbers else []
    said += [f"it lacks the {'epochs' if gone[1:] else 'epoch'} {listed(gone)}"] if gone else []
    return ", and ".join(said)


Losses: TypeAlias = "dict[tuple[str, int], float]"
"""Each with its tag in TensorBoard (`loss`, or `step/loss` between epochs) and its step."""


def losses_by_step(metrics_jsonl: Path | None) -> dict[str, Losses]:
    """By split, the losses of steps, epochs and evaluations in a metrics.jsonl.

    Damaged lines and losses that are not finite are left out; a file that cannot be read has none.
    """
    found: dict[str, Losses] = {}
    try:
        text = "" if metrics_jsonl is None else metrics_jsonl.read_text("utf-8", errors="replace")
    except OSError:
        return found
    for row in filter(None, map(row_in_json, text.split("\n"))):
        if row.kind in _TAGS:
            loss = row.values.get("train_loss" if row.kind == "epoch" else "loss")
            if isinstance(loss, int | float):
                tag = _TAGS[row.kind]
                found.setdefault(row.split or "train", {})[tag, row.step] = loss
    return found
