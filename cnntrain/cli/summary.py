"""`cnntrain summary`: a network layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnntrain.cli import output
from cnntrain.cli.options import (
    NETWORK,
    Batch,
    Channels,
    Classes,
    Depth,
    Json,
    Markdown,
    Overrides,
    Size,
    network_named,
)
from cnntrain.core.errors import UsageError

PICTURES = (".svg", ".png", ".pdf")


def summary(  # noqa: PLR0913  # one parameter for each option
    name: Annotated[str, typer.Argument(metavar="NETWORK", help=NETWORK)],
    overrides: Overrides = None,
    classes: Classes = None,
    size: Size = None,
    channels: Channels = None,
    batch: Batch = 1,
    depth: Depth = None,
    graph: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the network into this .svg, .png or .pdf file."),
    ] = None,
    markdown: Markdown = False,
    as_json: Json = False,
) -> None:
    """Show a network layer by layer, as a table or as a picture.

    Output shapes, parameters, multiply-adds of one image, receptive fields, memory in training,
    and for a run file with frozen layers what learns.
    """
    if markdown and as_json:
        raise UsageError("--markdown and --json exclude each other", remedy="choose one")
    if graph is not None and graph.suffix.lower() not in PICTURES:
        raise UsageError(
            f"--graph {graph} is no picture", remedy=f"end its name in {', '.join(PICTURES)}"
        )
    if graph is not None and not graph.parent.is_dir():
        raise UsageError(f"there is no folder {graph.parent}", remedy="make it first")
    plan, learning = network_named(
        name, overrides=overrides, classes=classes, size=size, channels=channels
    )
    from cnntrain.arch.table import as_data
    from cnntrain.arch.table_text import as_markdown, as_text

    if graph is not None:
        from cnntrain.arch.drawing import draw

        draw(plan, graph, depth=depth, title=Path(name).stem)
        output.note(f"picture: {graph}")
    if as_json:
        output.result_json(as_data(plan, batch=batch, depth=depth, learning=learning))
    elif markdown:
        output.result(as_markdown(plan, batch=batch, depth=depth, learning=learning))
    else:
        output.result(as_text(plan, batch=batch, depth=depth, learning=learning))
