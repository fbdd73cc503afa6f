"""`cnntrain summary`: a network layer by layer."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    Plugins,
    Size,
    network_named,
)
from cnntrain.core.atomic import write_output
from cnntrain.core.errors import UsageError
from cnntrain.show.graphviz import SUFFIXES, draw_dot

if TYPE_CHECKING:
    from cnntrain.arch.plan import Plan

GRAPHS = (".dot", ".mmd", *SUFFIXES)


def summary(  # noqa: PLR0913  # one parameter for each option
    name: Annotated[str, typer.Argument(metavar="NETWORK", help=NETWORK)],
    overrides: Overrides = None,
    plugins: Plugins = None,
    classes: Classes = None,
    size: Size = None,
    channels: Channels = None,
    batch: Batch = 1,
    depth: Depth = None,
    graph: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the network as a graph: .dot, .mmd (Mermaid), .svg, .png, .pdf.",
        ),
    ] = None,
    coverage: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw how many units of each layer see each pixel: .png, .svg, .pdf.",
        ),
    ] = None,
    markdown: Markdown = False,
    as_json: Json = False,
) -> None:
    """Show a network layer by layer, as a table or as a picture.

    Output shapes, parameters, multiply-adds of one image, receptive fields, memory in training,
    and for a run file with frozen layers what learns.
    """
    output.refuse_both(markdown, as_json)
    for option, path, kinds in (("graph", graph, GRAPHS), ("coverage", coverage, SUFFIXES)):
        if path is None:
            continue
        if path.suffix.lower() not in kinds:
            remedy = f"end its name in {', '.join(kinds)}"
            raise UsageError(f"--{option} {path} is not a picture", remedy=remedy)
        output.refuse_no_folder(path)
    plan, learning = network_named(
        name,
        overrides=overrides,
        plugins=plugins,
        classes=classes,
        size=size,
        channels=channels,
    )
    from cnntrain.arch.table import as_data
    from cnntrain.arch.table_text import as_markdown, as_text

    if graph is not None:
        _write_graph(plan, graph, depth=depth, title=Path(name).stem)
    if coverage is not None:
        _write_coverage(plan, coverage, title=Path(name).stem)
    asked: dict[str, Any] = {"batch": batch, "depth": depth, "learning": learning}
    text = partial(as_markdown if markdown else as_text, **asked)
    output.answer(plan, as_json, data=partial(as_data, **asked), text=text)


def _write_coverage(plan: Plan, path: Path, *, title: str) -> None:
    from cnntrain.arch.coverage import coverages
    from cnntrain.arch.coverage_picture import draw_coverage
    from cnntrain.show.image_table import save

    found = coverages(plan)
    if not found:
        raise UsageError(
            "no layer gives maps whose units see a known part of the image",
            remedy="leave out --coverage: a unit of this network sees the whole image",
        )
    save(draw_coverage(found, title=title), path)
    output.note(f"picture: {path}")


def _write_graph(plan: Plan, path: Path, *, depth: int | None, title: str) -> None:
    from cnntrain.arch.graph import as_dot, as_graph, as_mermaid

    graph, kind = as_graph(plan, depth=depth, title=title), path.suffix.lower()
    if kind in SUFFIXES:
        draw_dot(as_dot(graph), path)
    else:
        text = as_mermaid(graph) if kind == ".mmd" else as_dot(graph)
        write_output(path, text.encode())
    output.note(f"picture: {path}")
