"""The end of a run in words: a table of the best and the last epoch, and where to go on."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from rich.console import Console as RichConsole
from rich.table import Table

from cnntrain.record.totals import Tally
from cnntrain.show.tables import columns
from cnntrain.show.words import clock_time, percent, quantity
from cnntrain.train.events import EpochDone, RunDone

_HEADER = ("", "epoch", "train loss", "train error", "validation loss", "validation error")
_TEST = ("test loss", "test error")


def closing_rows(tally: Tally) -> list[tuple[str, ...]]:
    """The table's rows, its header first; only the header if no epoch was finished.

    The result on the test set stands in the row of the epoch whose weights were tested; that row
    is nearly empty if the epoch was before the run was resumed.
    """
    rows = [_row(label, epoch) for label, epoch in _labelled(tally)]
    tested = tally.test
    if tested is None:
        return [_HEADER, *rows]
    result = (f"{tested.metrics.loss:.4g}", percent(tested.metrics.error))
    if all(row[1] != str(tested.epoch) for row in rows):
        rows.insert(0, ("best", str(tested.epoch), *["-"] * (len(_HEADER) - 2)))
    whole = [(*row, *(result if row[1] == str(tested.epoch) else ("-", "-"))) for row in rows]
    return [_HEADER + _TEST, *whole]


def _labelled(tally: Tally) -> list[tuple[str, EpochDone]]:
    named = (("best", tally.best), ("last", tally.last))
    return [(label, epoch) for label, epoch in named if epoch is not None]


def _row(label: str, epoch: EpochDone) -> tuple[str, ...]:
    found = epoch.validation
    return (
        label,
        str(epoch.epoch),
        f"{epoch.train_loss:.4g}",
        percent(epoch.train_error),
        "-" if found is None else f"{found.loss:.4g}",
        "-" if found is None else percent(found.error),
    )


def print_table(rows: Sequence[tuple[str, ...]], *, stream: TextIO, fancy: bool) -> None:
    """Write a table: lines and a bold header if `fancy`, else aligned plain text."""
    if len(rows) < 2:
        return
    if not fancy:
        stream.write(columns(rows, right=range(1, len(rows[0]))) + "\n")
        return
    plain = bool(os.environ.get("NO_COLOR"))
    table = Table(header_style="" if plain else "bold")
    for i, name in enumerate(rows[0]):
        table.add_column(name, justify="left" if i == 0 else "right")
    for row in rows[1:]:
        table.add_row(*row)
    RichConsole(file=stream, no_color=plain, highlight=False).print(table)


def closing_lines(event: RunDone, *, tally: Tally, run: Path | None) -> list[str]:
    """How it ended, the time, the speed, the path, and the commands to go on with."""
    lines = [f"{_ending(event)} after {clock_time(event.seconds)}"]
    if tally.last is not None:
        lines[0] += (
            f", {quantity(tally.images_per_second)} images/s, "
            f"{percent(tally.data_wait, places=0)} of the time waiting for data"
        )
    if event.best_error is not None and tally.best is None:  # it was found before the resume
        lines.append(f"best validation error {_best(event)}")
    if run is None:
        return lines
    path = shlex.quote(str(run))
    resume = [f"cnntrain fit --resume {path}"] if event.reason == "stopped" else []
    lines.append(f"run   {run}")
    commands = [*resume, f"cnntrain eval {path}", f"tensorboard --logdir {path}/tb"]
    lines += [f"{'next' if i == 0 else '':<4}  {command}" for i, command in enumerate(commands)]
    return lines


def closing_line(event: RunDone, *, tally: Tally, run: Path | None) -> str:
    """All of it in one line, for those who asked for quiet."""
    parts = [_ending(event)]
    if event.best_error is not None:
        parts.append(f"best validation error {_best(event)}")
    if tally.test is not None:
        parts.append(f"test error {percent(tally.test.metrics.error)}")
    if run is not None:
        parts.append(str(run))
    return "; ".join(parts)


def _ending(event: RunDone) -> str:
    reason = {"early stop": "stopped early"}.get(event.reason, event.reason)
    return f"{reason} at epoch {event.epoch}, step {event.step}"


def _best(event: RunDone) -> str:
    return f"{percent(event.best_error)} (epoch {event.best_epoch})"
