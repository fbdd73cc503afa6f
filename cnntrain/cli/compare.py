"""`cnntrain compare`: networks side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnntrain.cli import output
from cnntrain.cli.options import (
    NETWORK,
    Depth,
    Force,
    Json,
    Markdown,
    Overrides,
    Plugins,
    SplitName,
    network_named,
)
from cnntrain.core.errors import UsageError
from cnntrain.show.words import counted

if TYPE_CHECKING:
    from cnntrain.arch.plan import Plan
    from cnntrain.assemble.speed import ImagesPerSecond

BATCH = 16
"""Images at once, for the memory and for --time."""

IMAGES = 1000
"""Shown to two networks whose representations are compared."""

Representations = Annotated[
    bool,
    typer.Option(
        "--representations",
        help="Of two trained networks: how alike their layers represent the same images, by linear "
        "CKA and RSA, as a picture.",
    ),
]
Layers = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="For --representations, which it implies: layers or patterns with commas, such as "
        "'conv*,fc*'; * stays between two dots. Default: all outermost layers.",
    ),
]
Images = Annotated[
    int,
    typer.Option(
        min=4,
        help="For --representations: images at most, drawn at random from those of the first run.",
    ),
]
PictureFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="For --representations: a .png or .svg file. Default: representations.png.",
    ),
]


def compare(  # noqa: PLR0913  # the flags of the command
    names: Annotated[
        list[str], typer.Argument(metavar="NETWORK...", help=f"Two or more. {NETWORK}")
    ],
    batch: Annotated[
        int, typer.Option(min=1, help="Images in a batch, for the memory and for --time.")
    ] = BATCH,
    time: Annotated[
        bool, typer.Option("--time", help="Measure the images per second on this machine.")
    ] = False,
    depth: Depth = None,
    markdown: Markdown = False,
    representations: Representations = False,
    layers: Layers = None,
    split: SplitName = None,
    images: Images = IMAGES,
    out: PictureFile = None,
    force: Force = False,
    overrides: Overrides = None,
    plugins: Plugins = None,
    as_json: Json = False,
) -> None:
    """Show networks side by side, to choose one.

    Parameters, multiply-adds, memory of training, published accuracy and, with --time, speed.
    Two networks are also shown layer by layer: blocks that are the same in both take one line;
    those that differ are opened. With --representations two trained ones are compared by what
    their layers give for the same images.
    """
    of_plans = {"--batch": batch != BATCH, "--time": time, "--depth": depth, "--markdown": markdown}
    of_images = {"--split": split, "--images": images != IMAGES, "--out": out, "--force": force}
    if representations or layers is not None:
        _refuse(of_plans, "with --representations")
        from cnntrain.cli.compare_representations import compare_representations

        how: dict[str, Any] = {"overrides": overrides, "plugins": plugins, "as_json": as_json}
        how |= {"split": split, "images": images, "out": out, "force": force}
        compare_representations(names, layers=layers, **how)
        return
    _refuse({**of_images, "--set": overrides}, "without --representations")
    output.refuse_both(markdown, as_json)
    _compare_plans(names, batch, time, depth, markdown, plugins, as_json)


def _refuse(options: Mapping[str, object], when: str) -> None:
    if given := [name for name, value in options.items() if value not in (None, False)]:
        raise UsageError(f"{given[0]} has no effect {when}", remedy="leave it out")


def _compare_plans(
    names: list[str],
    batch: int,
    time: bool,
    depth: int | None,
    markdown: bool,
    plugins: list[Path] | None,
    as_json: bool,
) -> None:
    if len(names) == 1:
        other = f"`cnntrain compare {names[0]} OTHER`; `cnntrain summary {names[0]}` shows one"
        raise UsageError("one network is compared with none", remedy=f"name more: {other}")
    if depth is not None and len(names) > 2:
        message = "--depth is for two networks, which are compared layer by layer"
        raise UsageError(message, remedy="leave it out")
    if time and batch == 1:
        message = "--time with --batch 1: batch normalisation may need more than one image"
        raise UsageError(message, remedy="use --batch 2")
    plans = [network_named(name, plugins=plugins)[0] for name in names]
    speeds, device = _speeds(names, plans, batch) if time else ([None] * len(plans), "")
    from cnntrain.assemble import figures

    table = [
        figures.figures_of(name, plan, batch=batch, speed=speed)
        for name, plan, speed in zip(names, plans, speeds, strict=True)
    ]
    data: dict[str, Any] = {"networks": figures.as_data(table), "timed_on": device or None}
    if len(plans) == 2:
        from cnntrain.arch.comparison import compare as align
        from cnntrain.arch.comparison import comparison_data, comparison_markdown, comparison_text

        found = align(*plans, names=(names[0], names[1]), batch=batch, depth=depth)
        found = replace(found, totals=(table[0].quantities, table[1].quantities))
        data |= comparison_data(found)
        text = (comparison_markdown if markdown else comparison_text)(found)
    else:
        text = (figures.as_markdown if markdown else figures.as_text)(table)
    legend = figures.legend(table, device=device)
    output.answer(table, as_json, data=lambda _: data, text=lambda _: f"{text}\n\n{legend}")


def _speeds(names: list[str], plans: list[Plan], batch: int) -> tuple[list[ImagesPerSecond], str]:
    """The speed of each network, and on what it was measured, in words."""
    import torch

    from cnntrain.assemble.speed import measure_speed

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    speeds = []
    for name, plan in zip(names, plans, strict=True):
        output.note(f"timing {name}")
        speeds.append(measure_speed(plan, batch=batch, device=device))
    if device.type == "cuda":
        return speeds, torch.cuda.get_device_name(device)
    return speeds, f"the CPU with {counted(torch.get_num_threads(), 'thread')}"
