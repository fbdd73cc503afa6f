"""`cnntrain probe`: a linear classifier on every layer."""

from __future__ import annotations

from typing import Annotated

import typer

from cnntrain.cli import output
from cnntrain.cli.naming import file_to_write
from cnntrain.cli.options import Force, Json, Limit, Out, Overrides, SplitName, Trained


def probe(
    run: Trained,
    layers: Annotated[
        list[str] | None,
        typer.Option("--layer", metavar="NAME", help="Default: all outermost. Repeatable."),
    ] = None,
    split: SplitName = None,
    limit: Limit = 2000,
    out: Out = None,
    force: Force = False,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Fit a linear classifier to each layer's features.

    Fitted to training images, judged by the others: the errors show how much each layer does for
    telling the classes apart.
    """
    file = file_to_write(
        out, "probe", run, split=split, also=layers or (), force=force, overrides=overrides
    )
    from cnntrain.run.features import probe_layers

    found = probe_layers(run, split=split, limit=limit, layers=layers or [],
                         overrides=overrides or [])  # fmt: skip
    if not as_json:
        rows = [["layer", "features", "error in training", f"error in {found.split}"]]
        for each in found.probes:
            errors = (f"{each.train_error:.2%}", f"{each.error:.2%}")
            rows.append([each.layer, f"{each.features:,}", *errors])
        rows.append(["the network", "", "", f"{found.error:.2%}"])
        output.result(output.columns(rows, right=range(1, 4)))
    output.picture(found.picture, file, as_json=as_json)
