"""`cnntrain report`: a page about a run for others: what it does, how well, and its limits."""

from __future__ import annotations

import contextlib
import io
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnntrain.cli import output
from cnntrain.cli.options import Force, Json, Overrides, Plugins, SplitName, Trained, opened
from cnntrain.core.atomic import write_output
from cnntrain.core.errors import CnntrainError

if TYPE_CHECKING:
    from cnntrain.card.subject import Subject

NAME = "report.html"
PATIENCE = 20.0
"""Seconds that an evaluation may take where `fit` writes the page."""

Page = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="An .html file. Default: report.html in the run's folder."),
]


def report(
    run: Trained,
    split: SplitName = None,
    overrides: Overrides = None,
    plugins: Plugins = None,
    out: Page = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a page about a network for others. One HTML file that needs nothing else.

    How good it is and how sure that is, its worst mistakes, curves, network, data, recipe, how to
    use it and what its figures do not say. Without the images it has what the run's folder has.
    """
    from cnntrain.card.subject import look_at, run_of

    folder = run_of(run)
    usual = NAME if folder is None else str(folder.path / NAME)
    is_own = out is None and folder is not None
    file = output.new_file(out, usual=usual, force=force or is_own, suffixes=(".html", ".htm"))
    model = opened(run, overrides=overrides, plugins=plugins)
    subject = look_at(model, folder, named=run, split=split)
    for each in subject.missing:
        output.note(f"missing: {each}")
    size = _write(subject, file)
    output.answer(
        subject, as_json, data=lambda it: _as_data(it, file, size), text=lambda _: str(file)
    )


def _write(subject: Subject, file: Path) -> int:
    from cnntrain.card.card import html_card

    made = html_card(subject)
    write_output(file, made)
    return len(made)


def _as_data(subject: Subject, file: Path, size: int) -> dict[str, Any]:
    from cnntrain.card.results import score_of

    score = score_of(subject)
    figures = {} if score is None else {**asdict(score), "error": 1 - score.correct / score.images}
    return {"file": str(file), "bytes": size, **figures, "missing": list(subject.missing)}


def after_fit(run: Path, *, plugins: list[Path], quiet: bool, is_new: bool) -> None:
    """The page of a run that is done, in its folder; where that fails it is said, and no more.

    One that was complete before (not `is_new`) may lack it: its process was killed meanwhile. What
    is said while the images are opened has been said by the training.
    """
    file = run / NAME
    if file.exists() and not is_new:
        return
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            from cnntrain.card.subject import look_at, run_of
            from cnntrain.model.opening import open_model

            model = open_model(run, plugins=plugins)
            _write(look_at(model, run_of(run), named=run, patience=PATIENCE), file)
    except Exception as error:  # noqa: BLE001  # the run is done and saved, whatever befalls its page
        kind = "" if isinstance(error, CnntrainError) else f"{type(error).__name__}: "
        output.note(f"warning: {file} is not written: {kind}{error}")
    else:
        if not quiet:
            output.note(f"page  {file}")
