"""`cnntrain summary`: a network layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnntrain.cli import output
from cnntrain.cli.options import Json, Overrides
from cnntrain.config import shipped
from cnntrain.config.load import load
from cnntrain.core.errors import UsageError


def summary(
    name: Annotated[
        str, typer.Argument(metavar="FILE", help="A run file, an architecture file, or a run.")
    ],
    overrides: Overrides = None,
    classes: Annotated[int | None, typer.Option(help="Classes, for an architecture file.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the images, likewise.")] = None,
    channels: Annotated[int | None, typer.Option(help="1 for grey images, likewise.")] = None,
    as_json: Json = False,
) -> None:
    """Show a network layer by layer.

    Output shapes, parameters, multiply-adds of one image, receptive fields.
    """
    file = _file(name)
    from cnntrain.arch.table import as_data, as_text
    from cnntrain.core.document import read_document
    from cnntrain.run.networks import plan_network

    document = read_document(file)
    if isinstance(document.data, dict) and "layers" in document.data:
        from cnntrain.arch.description import Facts, describe, usual_facts
        from cnntrain.arch.plan import make_plan

        if overrides:
            raise UsageError("-s is for run files", remedy="change the architecture file")
        usual = usual_facts(document)
        facts = Facts(
            classes or usual.num_classes,
            channels or usual.image_channels,
            size or usual.image_height,
            size or usual.image_width,
        )
        plan = make_plan(describe(document, facts=facts))
    else:
        plan = plan_network(load(file, overrides or []))
    if as_json:
        output.result_json(as_data(plan))
    else:
        output.result(as_text(plan))


def _file(name: str) -> Path:
    path = Path(name)
    if path.is_dir():
        from cnntrain.run.finding import find_run

        found = find_run(path)
        if found.run is not None:
            return found.run.config
    return shipped.resolve(name)
