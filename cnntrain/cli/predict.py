"""`cnntrain predict`: what a trained network takes images for."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cnntrain.cli import output
from cnntrain.cli.evaluate import Crops, Scales, read_scales
from cnntrain.cli.options import Json, Overrides, Plugins, Trained, opened
from cnntrain.core.errors import UsageError
from cnntrain.show.tables import columns
from cnntrain.show.words import harmless

if TYPE_CHECKING:
    from cnntrain.data.left_out import LeftOut
    from cnntrain.model.predict import Prediction


def predict(  # noqa: PLR0913  # the flags of the command
    run: Trained,
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Image files, or folders of them.")
    ],
    top: Annotated[int, typer.Option(min=1, help="Number of top classes to report per image.")] = 3,
    form: Annotated[
        Literal["table", "csv"] | None,
        typer.Option("--format", help="Default: table; see also --json."),
    ] = None,
    as_json: Json = False,
    committee: Annotated[
        list[Path] | None,
        typer.Option(
            "--with", metavar="RUN", help="Average the softmax with this run's, too. Repeatable."
        ),
    ] = None,
    crops: Crops = "center",
    scales: Scales = None,
    overrides: Overrides = None,
    plugins: Plugins = None,
) -> None:
    """Classify image files, prepared as evaluation prepares them.

    Exit code 3 if a file cannot be read; the others are classified all the same. Files in folders
    that are not taken (HEIC, other suffixes) are listed on stderr.
    """
    if as_json and form is not None:
        raise UsageError(f"--json and --format {form} contradict each other", remedy="give one")
    sides = read_scales(scales, crops=crops)
    from cnntrain.model.ensemble import Ensemble
    from cnntrain.model.inputs import left_out
    from cnntrain.model.opening import PREDICT

    models = [
        opened(each, overrides=overrides, plugins=plugins, use=PREDICT)
        for each in (run, *(committee or []))
    ]
    found = Ensemble(models).predict(paths, top=top, crops=crops, scales=sides)
    others = left_out(paths)
    if as_json:
        _json(found, others)
    else:
        (_csv if form == "csv" else _table)(found)
    bad = [prediction for prediction in found if prediction.error]
    for prediction in bad:
        output.note(f"error: {prediction.name}: {prediction.error}")
    if bad:
        raise typer.Exit(3)


def _table(found: list[Prediction]) -> None:
    rows = [
        [p.name, *(f"{name} {probability:.2%}" for name, probability in p.ranking)]
        for p in found
        if p.ranking
    ]
    if rows:
        output.result(columns(rows))


def _json(found: list[Prediction], others: tuple[LeftOut, ...]) -> None:
    from cnntrain.data.left_out import plain

    output.result_json(
        {
            "predictions": [
                {
                    "file": p.name,
                    "class": p.label,
                    "probabilities": [{"class": n, "probability": v} for n, v in p.ranking],
                    "error": p.error or None,
                }
                for p in found
            ],
            "left_out": plain(others),
        }
    )


def _csv(found: list[Prediction]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    count = max((len(p.ranking) for p in found), default=0)
    head = [f"{what}{i + 1}" for i in range(count) for what in ("class", "probability")]
    writer.writerow(["file", *head, "error"])
    for p in found:
        cells = [cell for name, value in p.ranking for cell in (harmless(name), f"{value:.6f}")]
        rest = [""] * (2 * (count - len(p.ranking)))
        writer.writerow([harmless(p.name), *cells, *rest, harmless(p.error)])
    output.result(text.getvalue().rstrip("\n"))
