"""`cnntrain show`: a run file as it will be obeyed."""

from __future__ import annotations

from typing import Annotated

import typer

from cnntrain.cli import output
from cnntrain.cli.options import Overrides, RunFile


def show(
    file: RunFile,
    overrides: Overrides = None,
    origins: Annotated[
        bool,
        typer.Option(
            "--origins/--plain", help="Show where each value comes from (--plain: values only)."
        ),
    ] = True,
) -> None:
    """Print a run file as it is obeyed. Every value stands there, with where it comes from."""
    from cnntrain.config import shipped
    from cnntrain.config.load import load
    from cnntrain.config.resolved import with_origins, yaml_text

    loaded = load(shipped.resolve(file), overrides or [])
    if loaded.config.finetune is not None:
        from cnntrain.assemble.transfer.preprocessing import follow_weights

        loaded = follow_weights(loaded)
    output.result(with_origins(loaded) if origins else yaml_text(loaded))
