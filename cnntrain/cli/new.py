"""`cnntrain new`: a run file to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnntrain.cli import output
from cnntrain.config import shipped
from cnntrain.core.atomic import disk_errors, write_output
from cnntrain.core.errors import UsageError


def new(
    name: Annotated[
        str,
        typer.Argument(help="A shipped run file or architecture, such as lenet5 or archs/lenet5."),
    ] = "starter",
    out: Annotated[
        Path | None, typer.Option(help="Where to write it; default ./NAME.yaml.")
    ] = None,
) -> None:
    """Copy a shipped file, to change it. A run file or an architecture; without NAME a starter."""
    source = shipped.find(name) or shipped.find(f"archs/{name}")
    if source is None:
        remedy = shipped.network_remedy(name)
        raise UsageError(f"there is no shipped file '{name}'", remedy=remedy)
    target = out or Path(f"{name.removesuffix('.yaml')}.yaml")
    if target.exists():
        raise UsageError(f"{target} already exists", remedy="give another name: --out FILE")
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    write_output(target, source.read_bytes())
    output.result(str(target))
    if "archs" in source.parts:
        output.note(f"use it in a run file with `arch: {target}`")
    else:
        output.note(f"next: change it, then `cnntrain check {target}` and `cnntrain fit {target}`")
