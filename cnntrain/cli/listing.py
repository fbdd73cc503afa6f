"""`cnntrain list`: what there is to write in a run file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cnntrain.cli.options import Json

What = Literal[
    "layers", "datasets", "transforms", "optimizers", "schedules", "losses", "penalties", "tasks",
    "checks", "observers", "pictures", "keys", "configs", "archs", "weights",
]  # fmt: skip


def listing(
    what: Annotated[What, typer.Argument(help="What to list.")],
    name: Annotated[
        str | None,
        typer.Argument(
            help="Show this one, with its whole documentation; of keys, this section; of weights, "
            "those whose names begin so."
        ),
    ] = None,
    plugin: Annotated[
        list[Path] | None,
        typer.Option(help="List only what this file registers; with NAME, also look there."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List layers, optimizers, losses and all else to choose from."""
    from cnntrain.cli.lists import print_list

    print_list(what, name, plugins=plugin or [], as_json=as_json)
