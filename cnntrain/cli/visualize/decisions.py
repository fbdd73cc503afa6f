"""`cnntrain visualize`: pictures of single decisions."""

from __future__ import annotations

from typing import Annotated

import typer

from cnntrain.cli import output
from cnntrain.cli.options import Force, Json, Layer, Out, Overrides, SplitName, Trained
from cnntrain.cli.visualize.naming import file_to_write

app = typer.Typer()

Images = Annotated[
    list[str] | None,
    typer.Option(
        "--image", metavar="FILE", help="An image file, or one of the split by number. Repeatable."
    ),
]
Class = Annotated[
    str | None,
    typer.Option("--class", metavar="NAME", help="Default: the class that the network sees."),
]


@app.command("saliency")
def saliency(
    run: Trained,
    images: Images = None,
    target: Class = None,
    split: SplitName = None,
    out: Out = None,
    force: Force = False,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Which pixels change the score of a class most."""
    file = file_to_write(
        out,
        "saliency",
        run,
        images=images,
        split=split,
        also=[target],
        force=force,
        overrides=overrides,
    )
    from cnntrain.explain.decisions import saliency as make

    output.picture(
        make(run, images=images or [], target=target, split=split, overrides=overrides or []),
        file,
        as_json=as_json,
    )


@app.command("cam")
def cam(  # noqa: PLR0913  # the flags of the command
    run: Trained,
    images: Images = None,
    target: Class = None,
    layer: Layer = None,
    split: SplitName = None,
    out: Out = None,
    force: Force = False,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Where the network sees a class: CAM, or else Grad-CAM.

    CAM where the network ends in global average pooling and a linear layer. Grad-CAM for all
    others, and where --layer names one.
    """
    file = file_to_write(
        out,
        "cam",
        run,
        layer=layer,
        images=images,
        split=split,
        also=[target],
        force=force,
        overrides=overrides,
    )
    from cnntrain.explain.decisions import cam as make

    output.picture(
        make(
            run,
            images=images or [],
            target=target,
            layer=layer,
            split=split,
            overrides=overrides or [],
        ),
        file,
        as_json=as_json,
    )


@app.command("occlusion")
def occlusion(  # noqa: PLR0913  # the flags of the command
    run: Trained,
    images: Images = None,
    target: Class = None,
    size: Annotated[
        int | None, typer.Option(min=1, help="Side of the square in pixels. Default: a quarter.")
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(
            min=1, help="Step in pixels. Default: such that at most 200 squares are tried."
        ),
    ] = None,
    split: SplitName = None,
    out: Out = None,
    force: Force = False,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """How sure the network remains when a square is hidden."""
    file = file_to_write(
        out,
        "occlusion",
        run,
        images=images,
        split=split,
        also=[target],
        force=force,
        overrides=overrides,
    )
    from cnntrain.explain.decisions import occlusion as make

    output.picture(
        make(
            run,
            images=images or [],
            target=target,
            size=size,
            stride=stride,
            split=split,
            overrides=overrides or [],
        ),
        file,
        as_json=as_json,
    )


@app.command("confusion")
def confusion(
    run: Trained,
    split: SplitName = None,
    out: Out = None,
    force: Force = False,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Which classes are taken for which."""
    file = file_to_write(out, "confusion", run, split=split, force=force, overrides=overrides)
    from cnntrain.explain.decisions import confusion as make

    output.picture(make(run, split=split, overrides=overrides or []), file, as_json=as_json)


@app.command("mistakes")
def mistakes(
    run: Trained,
    count: Annotated[int, typer.Option(min=1, max=200, help="Images to show.")] = 24,
    split: SplitName = None,
    out: Out = None,
    force: Force = False,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """The errors of which the network was most sure."""
    file = file_to_write(out, "mistakes", run, split=split, force=force, overrides=overrides)
    from cnntrain.explain.decisions import mistakes as make

    output.picture(
        make(run, count=count, split=split, overrides=overrides or []), file, as_json=as_json
    )


@app.command("fool")
def fool(
    run: Trained,
    images: Images = None,
    target: Annotated[
        str | None, typer.Option("--class", metavar="NAME", help="What to be taken for.")
    ] = None,
    split: SplitName = None,
    out: Out = None,
    force: Force = False,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Images hardly changed, and noise, that fool the network."""
    file = file_to_write(
        out,
        "fool",
        run,
        images=images,
        split=split,
        also=[target],
        force=force,
        overrides=overrides,
    )
    from cnntrain.explain.adversarial import fool as make

    output.picture(
        make(run, images=images or [], target=target, split=split, overrides=overrides or []),
        file,
        as_json=as_json,
    )
