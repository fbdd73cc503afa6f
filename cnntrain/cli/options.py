"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RunFile = Annotated[
    str, typer.Argument(metavar="FILE", help="A run file, or the name of a shipped one.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="Change one value, such as train.optimizer.lr=0.02. Repeatable.",
    ),
]
Run = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", help="A run's folder, runs/NAME for its latest, or a checkpoint file."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
