"""What the checks' pictures have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

SIZE = (8.0, 3.2)
"""Inches of a plot."""

NAMED = 40
"""Up to this many layers are named below their bars."""


def bars_by_layer(
    values: Sequence[tuple[str, float]],
    *,
    label: str,
    usual: tuple[float, float] | None = None,
    is_log: bool = True,
) -> Figure:
    """One bar for each layer.

    Args:
        values: names with their values, in the order of the network.
        label: of the values.
        usual: a band in which they usually lie.
        is_log: on a logarithmic scale; values of 0 have no bar there.
    """
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    if usual is not None:
        axes.axhspan(*usual, color="tab:green", alpha=0.15, label="usual")
        axes.legend()
    heights = np.array([value for _, value in values], dtype=float)
    axes.bar(range(len(values)), np.where(heights > 0, heights, np.nan), color="tab:blue")
    if is_log and (heights > 0).any():
        axes.set_yscale("log")
    axes.set_ylabel(label)
    if len(values) <= NAMED:
        axes.set_xticks(range(len(values)), [name for name, _ in values], rotation=90, fontsize=8)
    else:
        axes.set_xlabel(f"{len(values)} layers")
    return figure


def image_grid(
    images: Tensor, captions: Sequence[str], *, columns: int = 8, most: int = 32
) -> Figure:
    """Images with a line of text below each; every image is stretched to the full range by itself.

    Args:
        images: `(N, C, H, W)`, any range; of other than 1 or 3 channels the first is shown.
        captions: one for each image.
        columns: images in a row.
        most: images to show.
    """
    shown = images[:most].detach().float().cpu()
    low = shown.amin(dim=(1, 2, 3), keepdim=True)
    high = shown.amax(dim=(1, 2, 3), keepdim=True)
    shown = (shown - low) / (high - low).clamp_min(1e-12)
    columns = min(columns, max(1, len(shown)))
    rows = max(1, -(-len(shown) // columns))
    figure = Figure(figsize=(1.15 * columns, 1.4 * rows), layout="constrained")
    for number, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.axis("off")
        if number < len(shown):
            image = shown[number]
            if len(image) == 3:
                axes.imshow(image.permute(1, 2, 0).numpy())
            else:
                axes.imshow(image[0].numpy(), cmap="gray")
            axes.set_title(captions[number], fontsize=8)
    return figure
