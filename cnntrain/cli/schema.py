"""`cnntrain schema`: the JSON Schema with which an editor checks and completes the files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cnntrain.cli import output


def schema(
    what: Annotated[
        Literal["run", "arch"], typer.Argument(help="Run files or architecture files.")
    ] = "run",
    plugin: Annotated[
        list[Path] | None, typer.Option(help="What this file registers is in it, too.")
    ] = None,
) -> None:
    """Print the JSON Schema of run files or of architecture files."""
    from cnntrain.config.json_schema import arch_schema, run_schema
    from cnntrain.core.choices import CHOICES
    from cnntrain.core.trust import read_plugin

    for file in plugin or ():
        for catalogue in CHOICES.values():
            catalogue.add_plugin(read_plugin(file))
    output.result_json(run_schema() if what == "run" else arch_schema())
