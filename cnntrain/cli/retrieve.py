"""`cnntrain retrieve`: the nearest images in a network's feature space."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from cnntrain.cli import output
from cnntrain.cli.options import Force, Json, Layer, Out, Overrides, Trained
from cnntrain.cli.visualize.naming import file_to_write


def retrieve(  # noqa: PLR0913  # the flags of the command
    run: Trained,
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE...", help="Image files, or numbers of evaluation images."),
    ],
    layer: Layer = None,
    count: Annotated[int, typer.Option(min=1, max=32, help="Neighbours of each image.")] = 8,
    distance: Annotated[
        Literal["cosine", "euclidean"], typer.Option(help="Between features.")
    ] = "cosine",
    split: Annotated[
        Literal["train", "validation", "test"], typer.Option(help="What is searched.")
    ] = "train",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Search so many images, drawn at random.")
    ] = None,
    out: Out = None,
    force: Force = False,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Find the training images nearest to an image, by features.

    The features are those of --layer, by default what the last linear layer reads. An image that is
    itself in the training set is found at distance 0.
    """
    file = file_to_write(
        out,
        "retrieve",
        run,
        layer=layer,
        images=images,
        also=[None if split == "train" else split],
        force=force,
        overrides=overrides,
    )
    from cnntrain.explain.features import retrieve as find

    picture = find(run, images, layer=layer, split=split, distance=distance, count=count,
                   limit=limit, overrides=overrides or [])  # fmt: skip
    output.picture(picture, file, as_json=as_json)
