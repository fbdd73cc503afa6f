"""The end of a run in words: a table of the best and the last epoch, and what to do next."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from rich.console import Console as RichConsole
from rich.table import Table

from cnntrain.core.escapes import escaped
from cnntrain.record.observe import Tally, epoch_figures
from cnntrain.show.tables import columns
from cnntrain.show.words import clock_time, percent, quantity
from cnntrain.tasks.protocol import Result, Task
from cnntrain.train.events import RunDone

UNJUDGED = "no validation images, so how good it is on others is unknown"


def figures_text(
    loss: float, figures: Mapping[str, float | None], task: Task, *, gap: str = " "
) -> str:
    """`loss 0.1234 error 1.20 %`."""
    named = {"loss": loss, **figures}
    return gap.join(f"{name} {task.text(name, value)}" for name, value in named.items())


def result_text(result: Result, task: Task, *, gap: str = " ") -> str:
    """The loss and the figures that a line has room for."""
    figures = {name: result.figures[name] for name in task.headline}
    return figures_text(result.loss, figures, task, gap=gap)


def _cells(result: Result | None, task: Task) -> list[str]:
    names = ("loss", *task.headline)
    if result is None:
        return ["-"] * len(names)
    values = {"loss": result.loss, **result.figures}
    return [task.text(name, values[name]) for name in names]


def closing_rows(tally: Tally, *, best_epoch: int | None) -> list[list[str]]:
    """The table's rows, its header first; only the header if no epoch was finished.

    The result on the test set stands in the row of the epoch whose weights were tested; that row
    is nearly empty if the epoch was before a resume from a checkpoint that does not keep it. Where
    the last weights are kept, no row is called the best.
    """
    task = tally.task
    figures = epoch_figures(None, task, validation=task.headline)
    header = ["", "epoch", *(name.replace("_", " ", 1) for name in figures)]
    rows: list[list[str]] = []
    kept, best, last = "kept" if tally.keeps_last else "best", tally.so_far.best, tally.so_far.last
    is_one = tally.keeps_last and best is not None and last is not None and best.epoch == last.epoch
    for label, epoch in (("last", last),) if is_one else ((kept, best), ("last", last)):
        if epoch is not None:
            train = {"loss": epoch.train_loss, **epoch.train_figures}
            texts = [task.text(name, train[name]) for name in ("loss", *task.train_figures)]
            rows.append([label, str(epoch.epoch), *texts, *_cells(epoch.validation, task)])
    if tally.test is not None:
        tested = str(tally.test.epoch)
        if all(row[1] != tested for row in rows):
            label = kept if tally.test.epoch == best_epoch else "last"
            rows.insert(0, [label, tested, *["-"] * len(figures)])
        for row in rows:
            row += _cells(tally.test.metrics if row[1] == tested else None, task)
        header += [f"test {name}" for name in ("loss", *task.headline)]
    return [header, *rows]


def print_table(rows: Sequence[Sequence[str]], *, stream: TextIO, fancy: bool) -> None:
    """Write a table: lines and a bold header if `fancy`, else aligned plain text.

    Where the terminal of a `fancy` one is too narrow, rows and columns are exchanged.
    """
    if len(rows) < 2:
        return
    if not fancy:
        stream.write(columns(rows, right=range(1, len(rows[0]))) + "\n")
        return
    plain = bool(os.environ.get("NO_COLOR"))
    console = RichConsole(file=stream, no_color=plain, highlight=False)
    wide, high = (_table(each, plain=plain) for each in (rows, list(zip(*rows, strict=True))))
    unlimited = console.options.update_width(1_000)
    needed = console.measure(wide, options=unlimited).maximum
    console.print(wide if needed <= console.width else high)


def _table(rows: Sequence[Sequence[str]], *, plain: bool) -> Table:
    """With a bold header, unless `plain`."""
    table = Table(header_style="" if plain else "bold")
    for i, name in enumerate(rows[0]):
        table.add_column(name, justify="left" if i == 0 else "right")
    for row in rows[1:]:
        table.add_row(*row)
    return table


def closing_lines(
    event: RunDone, *, tally: Tally, run: Path | None, expected: str | None = None
) -> list[str]:
    """How it ended, the time (and what was expected), the speed, the path, the next commands."""
    lines = [f"{_ending(event)} after {clock_time(event.seconds)}"]
    lines[0] += f" (expected: about {expected})" if expected else ""
    if tally.so_far.last is not None:
        lines[0] += (
            f", {quantity(tally.so_far.images_per_second)} images/s, "
            f"{percent(tally.so_far.data_wait, places=0)} of the time waiting for data"
        )
    if event.best_value is not None and tally.so_far.best is None:  # of an older checkpoint
        lines.append(_best(event, tally))
    guessed = _guessed(tally)
    if guessed is not None:
        lines.append(f"note  no better than guessing: {guessed}")
    if _is_unjudged(event, tally):
        lines.append(f"note  {UNJUDGED}; -s data.split.validation=0.2 holds some out")
    lines += [f"note  {note}" for note in event.notes]
    if run is None:
        return lines
    path = shlex.quote(str(run))
    first = [f"cnntrain fit --resume {path}"] if event.reason == "stopped" else []
    first += [f"cnntrain diagnose {path}"] if guessed is not None else []
    lines.append(f"run   {run}")
    commands = [*first, f"cnntrain eval {path}"]
    commands += [] if first else [f"cnntrain predict {path} some_folder/"]
    commands.append(f"tensorboard --logdir {path}/tb")
    lines += [f"{'next' if i == 0 else '':<4}  {command}" for i, command in enumerate(commands)]
    return lines


def closing_line(event: RunDone, *, tally: Tally, run: Path | None) -> str:
    """All of it in one line, for those who asked for quiet."""
    parts = [_ending(event)]
    if event.best_value is not None:
        parts.append(_best(event, tally))
    if tally.test is not None:
        figures = tally.test.metrics.figures
        texts = (f"{name} {tally.task.text(name, figures[name])}" for name in tally.task.headline)
        parts.append(f"test {', '.join(texts)}")
    if _guessed(tally) is not None:
        parts.append("no better than guessing")
    if _is_unjudged(event, tally):
        parts.append(UNJUDGED)
    parts += event.notes
    if run is not None:
        parts.append(str(run))
    return "; ".join(parts)


def _guessed(tally: Tally) -> str | None:
    """What guessing would give, where the best weights are no better on the validation images."""
    epoch = tally.so_far.best or tally.so_far.last
    return None if epoch is None or epoch.guessed is None else escaped(epoch.guessed)


def _is_unjudged(event: RunDone, tally: Tally) -> bool:
    """Whether no image that the network has not learnt from was ever looked at."""
    is_judged = event.best_value is not None or tally.test is not None
    return tally.so_far.last is not None and event.reason == "finished" and not is_judged


def _ending(event: RunDone) -> str:
    reason = {"early stop": "stopped early"}.get(event.reason, event.reason)
    return f"{reason} at epoch {event.epoch}, step {event.step}"


def _best(event: RunDone, tally: Tally) -> str:
    value = tally.task.text(tally.select, event.best_value)
    if tally.keeps_last:
        return f"validation {tally.select} {value} (epoch {event.best_epoch}, the last)"
    return f"best validation {tally.select} {value} (epoch {event.best_epoch})"
