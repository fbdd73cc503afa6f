"""`cnntrain visualize`: pictures of what layers have learned."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from cnntrain.cli import output
from cnntrain.cli.options import Force, Json, Layer, Limit, Out, Overrides, SplitName, Trained
from cnntrain.cli.visualize.naming import file_to_write

app = typer.Typer()

Image = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="An image file, or the number of an image of the split."),
]
Units = Annotated[
    list[int] | None,
    typer.Option("--unit", min=0, help="A map of the layer, counted from 0. Repeatable."),
]
Count = Annotated[int, typer.Option(min=1, max=64, help="Units where none is named.")]


@app.command("filters")
def filters(
    run: Trained,
    layer: Layer = None,
    out: Out = None,
    force: Force = False,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """The kernels of a layer as tiles. Default: the first."""
    file = file_to_write(out, "filters", run, layer=layer, force=force, overrides=overrides)
    from cnntrain.explain.layers import filters as make

    output.picture(make(run, layer=layer, overrides=overrides or []), file, as_json=as_json)


@app.command("maps")
def maps(
    run: Trained,
    layer: Layer = None,
    image: Image = None,
    split: SplitName = None,
    out: Out = None,
    force: Force = False,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """What a layer gives for one image."""
    file = file_to_write(
        out,
        "maps",
        run,
        layer=layer,
        images=[image] if image else [],
        split=split,
        force=force,
        overrides=overrides,
    )
    from cnntrain.explain.layers import maps as make

    output.picture(
        make(run, layer=layer, image=image, split=split, overrides=overrides or []),
        file,
        as_json=as_json,
    )


@app.command("patches")
def patches(  # noqa: PLR0913  # the flags of the command
    run: Trained,
    layer: Layer = None,
    units: Units = None,
    count: Count = 8,
    split: SplitName = None,
    limit: Limit = 2000,
    out: Out = None,
    force: Force = False,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """What units answer to most, cut out by their receptive field."""
    file = file_to_write(
        out,
        "patches",
        run,
        layer=layer,
        split=split,
        also=units or (),
        force=force,
        overrides=overrides,
    )
    from cnntrain.explain.layers import patches as make

    output.picture(
        make(
            run,
            layer=layer,
            units=units or [],
            count=count,
            split=split,
            limit=limit,
            overrides=overrides or [],
        ),
        file,
        as_json=as_json,
    )


@app.command("deconv")
def deconv(  # noqa: PLR0913  # the flags of the command
    run: Trained,
    layer: Layer = None,
    units: Units = None,
    count: Count = 8,
    split: SplitName = None,
    limit: Limit = 2000,
    out: Out = None,
    force: Force = False,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Strongest answers projected to the pixels (Zeiler-Fergus)."""
    file = file_to_write(
        out,
        "deconv",
        run,
        layer=layer,
        split=split,
        also=units or (),
        force=force,
        overrides=overrides,
    )
    from cnntrain.explain.layers import patches as make

    output.picture(
        make(
            run,
            layer=layer,
            units=units or [],
            count=count,
            projected=True,
            split=split,
            limit=limit,
            overrides=overrides or [],
        ),
        file,
        as_json=as_json,
    )


@app.command("embedding")
def embedding(  # noqa: PLR0913  # the flags of the command
    run: Trained,
    layer: Layer = None,
    method: Annotated[Literal["tsne", "pca"], typer.Option(help="How.")] = "tsne",
    split: SplitName = None,
    limit: Limit = 1000,
    out: Out = None,
    force: Force = False,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Images as points, near where features are alike.

    The features are those of --layer, by default what the last linear layer reads.
    """
    file = file_to_write(
        out,
        "embedding",
        run,
        layer=layer,
        split=split,
        also=[None if method == "tsne" else method],
        force=force,
        overrides=overrides,
    )
    from cnntrain.explain.layers import embedding as make

    output.picture(
        make(run, layer=layer, method=method, split=split, limit=limit, overrides=overrides or []),
        file,
        as_json=as_json,
    )


@app.command("gabor")
def gabor(
    run: Trained,
    layer: Layer = None,
    out: Out = None,
    force: Force = False,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Gabor functions fitted to the first layer's filters."""
    file = file_to_write(out, "gabor", run, layer=layer, force=force, overrides=overrides)
    from cnntrain.explain.layers import gabor as make

    output.picture(make(run, layer=layer, overrides=overrides or []), file, as_json=as_json)
