"""`cnntrain recalibrate`: batch normalisation's statistics from the whole training set."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnntrain.cli import output
from cnntrain.cli.options import Json, Overrides, Plugins, Run, tell_notes
from cnntrain.show.tables import columns
from cnntrain.show.words import counted

if TYPE_CHECKING:
    from cnntrain.model.recalibrated import Recalibrated


def recalibrate(
    run: Run,
    exact: Annotated[
        bool,
        typer.Option("--exact", help="One pass for each normalisation, and not one for all."),
    ] = False,
    overrides: Overrides = None,
    plugins: Plugins = None,
    as_json: Json = False,
) -> None:
    """Measure batch-norm statistics on the training images.

    The best weights get the means and variances of all training images, without augmentation, in
    place of the running averages. They become checkpoints/recalibrated.pt; no file is changed.
    Layers that are frozen (finetune.freeze) keep theirs.
    """
    from cnntrain.model.recalibrated import recalibrate_run

    done = recalibrate_run(run, exact=exact, overrides=overrides or [], plugins=plugins or [])
    tell_notes(done.notes)
    output.answer(done, as_json, data=_as_data, text=_as_text)
    if not as_json:
        output.note(f"next  cnntrain eval {shlex.quote(str(done.path))}")


def _as_text(done: Recalibrated) -> str:
    summary = done.task.summary
    rows = [[done.split, "images", *summary(done.before)]]
    for name, metrics in (("before", done.before), ("after", done.after)):
        rows.append([name, f"{metrics.images:,}", *summary(metrics).values()])
    table = columns(rows, right=range(1, len(rows[0])))
    layers = counted(len(done.layers), "batch-norm layer")
    note = f"\nnote: the {done.select} is worse than before" if done.is_worse else ""
    stays = f"{done.source.name} is unchanged, and still what opening the run takes"
    return f"{table}\n{layers} of {done.source} recalibrated, saved as {done.path}; {stays}{note}"


def _as_data(done: Recalibrated) -> dict[str, Any]:
    return {
        "source": str(done.source),
        "checkpoint": str(done.path),
        "layers": list(done.layers),
        "split": done.split,
        "before": done.task.data(done.before),
        "after": done.task.data(done.after),
    }
