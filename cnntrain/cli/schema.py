"""`cnntrain schema`: the JSON Schema with which an editor checks and completes the files."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from cnntrain.cli import output


class What(StrEnum):
    """The two kinds of file."""

    run = "run"
    arch = "arch"


def schema(
    what: Annotated[What, typer.Argument(help="Run files or architecture files.")] = What.run,
) -> None:
    """Print the JSON Schema of run files or of architecture files."""
    from cnntrain.config.json_schema import arch_schema, run_schema

    output.result_json(run_schema() if what is What.run else arch_schema())
