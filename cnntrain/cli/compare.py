"""`cnntrain compare`: networks side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnntrain.cli import output
from cnntrain.cli.options import NETWORK, Depth, Json, Markdown, Plugins, network_named
from cnntrain.core.errors import UsageError
from cnntrain.show.words import counted

if TYPE_CHECKING:
    from cnntrain.arch.plan import Plan
    from cnntrain.assemble.speed import ImagesPerSecond

BATCH = 16
"""Images at once, for the memory and for --time."""


def compare(
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
    plugins: Plugins = None,
    as_json: Json = False,
) -> None:
    """Show networks side by side, to choose one.

    Parameters, multiply-adds, memory of training, published accuracy and, with --time, speed.
    Two networks are also shown layer by layer: blocks that are the same in both take one line;
    those that differ are opened.
    """
    output.refuse_both(markdown, as_json)
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
