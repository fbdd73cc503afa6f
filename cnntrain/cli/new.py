"""`cnntrain new`: a run file to start from, or an architecture to change."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from cnntrain.cli import output
from cnntrain.core.atomic import disk_errors, write_output
from cnntrain.core.errors import UsageError


def new(
    name: Annotated[
        str,
        typer.Argument(help="A shipped run file or architecture, such as lenet5 or archs/lenet5."),
    ] = "starter",
    out: Annotated[
        Path | None, typer.Option(help="Where to write it; default: ./ and its name.")
    ] = None,
) -> None:
    """Copy a shipped file, to change it. A run file or an architecture; without NAME a starter."""
    from cnntrain.config import shipped

    source = shipped.find(name) or shipped.find(f"archs/{name}")
    if source is None:
        remedy = shipped.network_remedy(name)
        raise UsageError(f"there is no shipped file '{name}'", remedy=remedy)
    target = out or Path(source.name)
    if target.exists():
        other = ["cnntrain", "new", name, "--out", str(target.with_stem(f"my_{target.stem}"))]
        remedy = f"give another name: `{shlex.join(other)}`"
        raise UsageError(f"{target} already exists", remedy=remedy)
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    is_arch = source.parent.name == "archs"
    original, copy = f"archs/{source.stem}", shlex.quote(str(target))
    text = source.read_text(encoding="utf-8")
    # the header of an architecture says how to look at it: at the copy from now on
    text = text.replace(f"cnntrain summary {original}\n", f"cnntrain summary {copy}\n", 1)
    write_output(target, text.encode())
    output.result(str(target))
    if is_arch:
        output.note(
            f"next: change it; `cnntrain summary {copy}` shows it, "
            f"`cnntrain compare {original} {copy}` what differs; "
            f"a run file takes it as `arch: {target}`"
        )
    else:
        output.note(f"next: change it, then `cnntrain check {copy}` and `cnntrain fit {copy}`")
