"""`cnntrain compare`: two networks side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from cnntrain.cli import output
from cnntrain.cli.options import NETWORK, Batch, Depth, Json, Markdown, Plugins, network_named


def compare(
    one: Annotated[str, typer.Argument(metavar="A", help=NETWORK)],
    other: Annotated[str, typer.Argument(metavar="B", help="The other one.")],
    batch: Batch = 1,
    depth: Depth = None,
    markdown: Markdown = False,
    plugins: Plugins = None,
    as_json: Json = False,
) -> None:
    """Show two networks side by side, and what differs.

    Blocks that are the same in both take one line; those that differ are opened.
    """
    output.refuse_both(markdown, as_json)
    plans = [network_named(name, plugins=plugins)[0] for name in (one, other)]
    from cnntrain.arch.comparison import compare as align
    from cnntrain.arch.comparison import comparison_data, comparison_markdown, comparison_text

    found = align(*plans, names=(one, other), batch=batch, depth=depth)
    text = comparison_markdown if markdown else comparison_text
    output.answer(found, as_json, data=comparison_data, text=text)
