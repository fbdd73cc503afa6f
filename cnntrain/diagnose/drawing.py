"""What the checks' pictures have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from cnntrain.show.image_table import Cell, draw_table, in_rows
from cnntrain.show.pixels import coloured, stretched

SIZE = (6.4, 2.8)
"""Inches of a plot."""

NAMED = 40
"""Up to this many layers are named below their bars."""

LETTER = 0.065
"""Inches of a letter of these names."""

COLUMNS, MOST_IMAGES = 8, 32
"""Of a grid of images."""

DECADES = 1e-4
"""A logarithmic axis reaches at least this far down, so that small differences look small."""


def bars_by_layer(
    values: Sequence[tuple[str, float]],
    *,
    label: str,
    usual: tuple[float, float] | None = None,
    is_log: bool = True,
    top: float | None = None,
) -> Figure:
    """One bar for each layer, named and in the order of the network.

    `usual` is a band in which values usually lie, `top` the end of the axis, where they have a
    largest. On a logarithmic scale values of 0 have no bar.
    """
    is_named = len(values) <= NAMED
    longest = max((len(name) for name, _ in values), default=0) if is_named else 0
    figure = Figure(figsize=(SIZE[0], SIZE[1] + LETTER * longest), layout="constrained")
    axes = figure.subplots()
    if usual is not None:
        axes.axhspan(*usual, color="tab:green", alpha=0.15, label="usual")
        axes.legend()
    heights = np.array([value for _, value in values], dtype=float)
    axes.bar(range(len(values)), np.where(heights > 0, heights, np.nan), color="tab:blue")
    drawn = heights[np.isfinite(heights) & (heights > 0)]
    if is_log and len(drawn):
        axes.set_yscale("log")
        axes.set_ylim(bottom=min(0.5 * drawn.min(), DECADES * drawn.max()))
    if top is not None:
        axes.set_ylim(0, top)
    axes.set_xlim(-0.6, max(1, len(values)) - 0.4)
    axes.set_ylabel(label)
    if is_named:
        names = [name for name, _ in values]
        turned = 90 if longest > 3 else 0  # names of classes may hold dollar signs
        axes.set_xticks(range(len(values)), names, rotation=turned, fontsize=8, parse_math=False)
    else:
        axes.set_xlabel(f"{len(values)} layers")
    return figure


def doubtful_images(
    images: Tensor, targets: Tensor, others: Tensor, class_names: Sequence[str]
) -> Figure:
    """Some images `(N, C, H, W)` with their classes below, and the other ones that they look like.

    Each is stretched to the full range by itself; of other than 1 or 3 channels the first is shown.
    """
    tiles = coloured(stretched(images[:MOST_IMAGES]))
    pairs = zip(targets.tolist(), others.tolist(), strict=True)
    captions = [f"{class_names[target]}\n{class_names[other]}?" for target, other in pairs]
    cells = [Cell(*each) for each in zip(tiles, captions, strict=False)]
    return draw_table(in_rows(cells, COLUMNS), side=1.1)


def compared_images(
    images: Tensor, changed: Tensor, named: tuple[Tensor, Tensor], class_names: Sequence[str]
) -> Figure:
    """Some images `(N, C, H, W)` with their classes, each beside what was made of it.

    Args:
        images: as they are.
        changed: the same, changed; of any size.
        named: `(N,)` classes of the images, and what the changed ones are taken for.
        class_names: of the classes.
    """
    pairs = [coloured(stretched(each[: MOST_IMAGES // 2])) for each in (images, changed)]
    cells = []
    for one, other, target, taken in zip(*pairs, *(each.tolist() for each in named), strict=False):
        cells += [Cell(one, class_names[target]), Cell(other, f"{class_names[taken]}?")]
    return draw_table(in_rows(cells, COLUMNS), side=1.1)
