"""What a network gives over what is true, as a picture: a point for each image."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure

from cnntrain.core.atomic import write_output
from cnntrain.tasks.regression_report import Regression

_POINTS, _PANELS = 5000, 16
"""Points of a panel, and panels; more say no more."""


def draw_scatter(result: Regression, *, names: Sequence[str], path: Path) -> None:
    """Draw it into a PNG, which is overwritten; see `scatter_figure`.

    Raises:
        DiskError: the file cannot be written.
    """
    made = io.BytesIO()
    scatter_figure(result, names=names).savefig(made, format="png", dpi=120)
    write_output(path, made.getvalue())


def scatter_figure(result: Regression, *, names: Sequence[str]) -> Figure:
    """A panel for each number, its true value to the right and the network's upwards.

    On the grey line both are the same. Of many numbers the first sixteen are drawn.
    """
    shown = range(min(len(names), _PANELS))
    columns = math.ceil(math.sqrt(len(shown)))
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(4.2 * columns, 4 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    step = -(-result.sample.shape[1] // _POINTS)
    for number, axes in zip(shown, panels, strict=False):
        points = result.sample[:, ::step, number].double()
        true, given = points[:, torch.isfinite(points).all(dim=0)].numpy()
        ends = [min(true.min(), given.min()), max(true.max(), given.max())]
        axes.plot(ends, ends, color="0.7", linewidth=1)
        axes.scatter(true, given, s=5, alpha=0.4, linewidths=0)
        axes.set_xlabel("true")
        axes.set_ylabel("predicted")
        title = f"{names[number]}: MAE {result.mae[number]:.4g}"
        if (r2 := result.r2[number]) is not None:
            title += f", R2 {r2:.4f}"
        axes.set_title(title, fontsize=10, parse_math=False)
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    return figure
