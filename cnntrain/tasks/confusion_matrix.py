"""The confusion matrix as a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from cnntrain.core.atomic import write_output

_COUNTED = 25
"""Up to this many classes each cell has its count written in it."""

_NAME = 24
"""Longer names of classes are cut."""


def draw_confusion(confusion: Tensor, *, classes: Sequence[str], path: Path) -> None:
    """Draw a confusion matrix into a PNG, which is overwritten; see `confusion_figure`.

    Raises:
        DiskError: the file cannot be written.
    """
    figure = confusion_figure(confusion, classes=classes)
    made = io.BytesIO()
    figure.savefig(made, format="png", dpi=120, bbox_inches="tight")
    write_output(path, made.getvalue())


def confusion_figure(confusion: Tensor, *, classes: Sequence[str]) -> Figure:
    """A confusion matrix as a picture.

    Right answers are blue, mistakes red: beside a diagonal near 1 they would not be seen on one
    scale, so the red one ends at the largest mistake, with more of it for the small ones.

    Args:
        confusion: rows are true classes, columns predicted ones.
        classes: their names, in order.
    """
    counts = confusion.numpy()
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    diagonal = np.eye(len(classes), dtype=bool)
    mistakes = np.ma.masked_array(shares, mask=diagonal | (counts == 0))
    right = np.ma.masked_array(shares, mask=~diagonal)
    worst = float(mistakes.max()) if mistakes.count() else 0.0

    side = min(24.0, max(5.5, 3.0 + 0.45 * len(classes)))
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(right, cmap="Blues", vmin=0, vmax=1.3)
    if worst:
        scale = PowerNorm(0.6, vmin=0, vmax=1.3 * worst)
        red = axes.imshow(mistakes, cmap="Reds", norm=scale)
        bar = figure.colorbar(red, ax=axes, fraction=0.046, pad=0.02)
        bar.set_label("mistakes, share of the true class")
        bar.ax.set_ylim(0, worst)
        bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    _label(axes, [name if len(name) <= _NAME else name[: _NAME - 3] + "..." for name in classes])
    axes.set_title(f"{counts.sum():,} images, {counts.trace() / max(1, counts.sum()):.2%} right")
    if len(classes) <= _COUNTED:
        dark = np.where(diagonal, shares > 0.6, shares > 0.6 * worst)
        for true, predicted in zip(*counts.nonzero(), strict=True):
            colour = "white" if dark[true, predicted] else "black"
            text = str(counts[true, predicted])
            axes.text(predicted, true, text, ha="center", va="center", color=colour)
    return figure


def _label(axes: Axes, names: Sequence[str]) -> None:
    plain = {"parse_math": False}  # names may hold dollar signs
    turned = 90 if max(map(len, names)) > 2 else 0
    axes.set_xticks(range(len(names)), names, rotation=turned, **plain)
    axes.set_yticks(range(len(names)), names, **plain)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    edges = np.arange(len(names) - 1) + 0.5
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(which="minor", color="0.9", linewidth=0.5)
    axes.tick_params(which="minor", length=0)
