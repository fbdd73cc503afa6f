"""The confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from cnntrain.core.atomic import disk_errors

_COUNTED = 25
"""Up to this many classes each cell has its count written in it."""


def draw_confusion(
    confusion: Sequence[Sequence[int]], *, classes: Sequence[str], path: Path
) -> None:
    """Draw a confusion matrix into a PNG; the colour is the share of the true class.

    Args:
        confusion: rows are true classes, columns predicted ones.
        classes: their names, in order.
        path: the file, overwritten.

    Raises:
        DiskError: the file cannot be written.
    """
    shares = [[count / max(1, sum(row)) for count in row] for row in confusion]
    side = min(24.0, 3.0 + 0.45 * len(classes))
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(classes)), classes, rotation=90)
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    if len(classes) <= _COUNTED:
        for true, row in enumerate(confusion):
            for predicted, count in enumerate(row):
                colour = "white" if shares[true][predicted] > 0.5 else "black"
                axes.text(predicted, true, str(count), ha="center", va="center", color=colour)
    figure.colorbar(picture, ax=axes, shrink=0.7, label="share of the true class")
    with disk_errors(path):
        figure.savefig(path, format="png", dpi=120)
