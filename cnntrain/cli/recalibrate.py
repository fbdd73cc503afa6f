"""`cnntrain recalibrate`: batch normalisation's statistics from the whole training set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnntrain.cli import output
from cnntrain.cli.options import Json, Overrides, Run
from cnntrain.show.tables import columns

if TYPE_CHECKING:
    from cnntrain.model.recalibrate import Recalibrated
    from cnntrain.tasks import Classification


def recalibrate(
    run: Run,
    exact: Annotated[
        bool,
        typer.Option("--exact", help="One pass for each normalisation, and not one for all."),
    ] = False,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Measure batch-norm statistics on the training images.

    The best weights get the means and variances of all training images, without augmentation, in
    place of the running averages. They become checkpoints/recalibrated.pt; no file is changed.
    Layers that stood still (finetune.freeze) keep theirs.
    """
    from cnntrain.model.recalibrate import recalibrate_run

    done = recalibrate_run(run, exact=exact, overrides=overrides or [])
    if as_json:
        output.result_json(_as_data(done))
    else:
        output.result(_as_text(done))


def _as_text(done: Recalibrated) -> str:
    rows = [[done.split, "images", "loss", "top-1", "error"]]
    for name, metrics in (("before", done.before), ("after", done.after)):
        figures = (f"{metrics.loss:.4f}", f"{metrics.top1:.2%}", f"{metrics.error:.2%}")
        rows.append([name, f"{metrics.images:,}", *figures])
    table = columns(rows, right=range(1, 5))
    return f"{table}\n{len(done.layers)} batch normalisations of {done.source}: {done.path}"


def _as_data(done: Recalibrated) -> dict[str, Any]:
    return {
        "source": str(done.source),
        "checkpoint": str(done.path),
        "layers": list(done.layers),
        "split": done.split,
        "before": _metrics(done.before),
        "after": _metrics(done.after),
    }


def _metrics(metrics: Classification) -> dict[str, Any]:
    return {
        "images": metrics.images,
        "correct": metrics.correct,
        "loss": metrics.loss,
        "top1": metrics.top1,
        "error": metrics.error,
    }
