"""`cnntrain schema`: the JSON Schema with which an editor checks and completes the files."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cnntrain.cli import output
from cnntrain.core.choices import CHOICES


class FileKind(StrEnum):
    """The two kinds of file."""

    run = "run"
    arch = "arch"


def schema(
    what: Annotated[
        FileKind, typer.Argument(help="Run files or architecture files.")
    ] = FileKind.run,
    plugin: Annotated[
        list[Path] | None, typer.Option(help="What this file registers is in it, too.")
    ] = None,
) -> None:
    """Print the JSON Schema of run files or of architecture files."""
    from cnntrain.config.json_schema import arch_schema, run_schema

    for file in plugin or ():
        for catalogue in CHOICES.values():
            catalogue.add_plugin(file)
    output.result_json(run_schema() if what is FileKind.run else arch_schema())
