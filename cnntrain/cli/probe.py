"""`cnntrain probe`: a linear classifier on every layer."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated

import typer

from cnntrain.cli import output
from cnntrain.cli.options import Force, Json, Limit, Out, Overrides, SplitName, Trained
from cnntrain.cli.visualize.naming import file_to_write
from cnntrain.show.tables import columns

if TYPE_CHECKING:
    from cnntrain.explain.features import Probed


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

    Features are what a layer gives for an image; maps are averaged over regions, to at most 512
    numbers.

    Fitted to training images, judged by the others: the errors show how much each layer does for
    telling the classes apart.
    """
    file = file_to_write(
        out, "probe", run, split=split, also=layers or (), force=force, overrides=overrides
    )
    from cnntrain.explain.features import probe_layers

    found = probe_layers(run, split=split, limit=limit, layers=layers or [],
                         overrides=overrides or [])  # fmt: skip
    if not as_json:
        _print(found)
    output.picture(found.picture, file, as_json=as_json)


def _print(found: Probed) -> None:
    from cnntrain.explain.features import PROBED
    from cnntrain.explain.probes import margin

    def told(error: float) -> str:
        return f"{error:.2%} ± {margin(error, found.images):.1%}"

    rows = [["layer", "gives", "features", "error in training", f"error in {found.split}"]]
    for each in found.probes:
        shape = " x ".join(map(str, found.shapes[each.layer]))
        errors = (f"{each.train_error:.2%}", told(each.error))
        rows.append([each.layer, shape, f"{each.features:,}", *errors])
    rows.append(["the network", "", "", "", told(found.error)])
    output.result(columns(rows, right=range(1, 5)))
    if any(each.features < prod(found.shapes[each.layer]) for each in found.probes):
        output.note(f"features: maps are averaged over regions, to at most {PROBED} numbers")
    output.note(f"±: 95 % certainty with {found.images:,} {found.split} images")
