"""Vectors of images in two dimensions, as a picture."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from matplotlib import colormaps
from matplotlib.figure import Figure

from cnntrain.core.atomic import write_output
from cnntrain.tasks.embedding_report import Embedded

_NAMED = 20
"""Classes that have a colour of their own; of more none is named."""
_STRONG = 10
"""Classes for which there are strong colours."""


def draw_map(result: Embedded, *, path: Path) -> None:
    """Draw the two directions of the largest variance (PCA) into a PNG, which is overwritten.

    Raises:
        DiskError: the file cannot be written.
    """
    centred = result.vectors.double() - result.vectors.double().mean(dim=0)
    _, sizes, directions = torch.linalg.svd(centred, full_matrices=False)
    points = torch.nn.functional.pad(centred @ directions[:2].T, (0, 2))[:, :2].numpy()
    share = float(sizes[:2].square().sum() / sizes.square().sum().clamp_min(1e-30))
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots()
    there = torch.unique(result.targets).tolist()
    colours = colormaps["tab10" if len(there) <= _STRONG else "tab20"]
    for number, each in enumerate(there):
        inside = (result.targets == each).numpy()
        x, y = points[inside].T
        colour, name = colours(number % _NAMED), result.names[each]
        axes.scatter(x, y, s=8, linewidths=0, color=colour, label=name)
    if len(there) <= _NAMED:
        legend = axes.legend(fontsize=8, markerscale=2)
        for text in legend.get_texts():
            text.set_parse_math(False)
    axes.set_xticks([])
    axes.set_yticks([])
    found = result.recall[1]
    said = "" if found is None else f"recall@1 {found:.2%}; "
    axes.set_title(f"{said}the axes have {share:.0%} of the variance", fontsize=10, loc="left")
    made = io.BytesIO()
    figure.savefig(made, format="png", dpi=120)
    write_output(path, made.getvalue())
