"""`cnntrain fit`: train, or go on training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnntrain.cli import output
from cnntrain.cli.options import Overrides
from cnntrain.config import shipped
from cnntrain.config.load import load
from cnntrain.core.errors import UsageError


def fit(
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="A run file, or the name of a shipped one."),
    ] = None,
    overrides: Overrides = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with this run, in its own folder.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Short for -s train.epochs=N.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="An exact place for the run's folder.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the final line.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log to the terminal.")] = False,
) -> None:
    """Train the network of a run file. The run's folder is printed on stdout."""
    given = list(overrides or [])
    if epochs is not None:
        given.append(f"train.epochs={epochs}")
    if (file is None) == (resume is None):
        remedy = "`cnntrain fit FILE` or `cnntrain fit --resume RUN`"
        raise UsageError("give either a run file or a run to go on with", remedy=remedy)
    if resume is not None and out is not None:
        remedy = "remove --out"
        raise UsageError("a resumed run stays in its own folder", remedy=remedy)
    loaded = None if file is None else load(shipped.resolve(file), given)
    from cnntrain.run.fit import fit as start
    from cnntrain.run.fit import resume as go_on

    with output.log_shown(verbose):
        if loaded is not None:
            outcome = start(loaded, out=out, overrides=given, quiet=quiet)
        else:
            assert resume is not None
            outcome = go_on(resume, overrides=given, quiet=quiet)
    output.result(str(outcome.run.path))
    if outcome.exit_code:
        raise typer.Exit(outcome.exit_code)
