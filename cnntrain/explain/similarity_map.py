"""Similarities of two networks' layers as heat maps and as a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from cnntrain.show.tables import columns

_NUMBERS = 16
"""Up to this many layers each cell has its value written in it."""

Pair = tuple[Sequence[str], Sequence[str]]


def draw_similarities(
    found: Mapping[str, Tensor], *, names: tuple[str, str], layers: Pair, title: str
) -> Figure:
    """CKA and RSA as heat maps; what is undefined is grey.

    Args:
        found: (A, B) matrices, see `cnntrain.explain.similarity.similarities`.
        names: of the network whose layers are the rows, and of the columns'.
        layers: their layers.
        title: above both.
    """
    wide, high = (min(20.0, 1.2 + 0.42 * len(each)) for each in reversed(layers))
    figure = Figure(figsize=(2 * wide + 2.2, high + 1.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, measure, words in zip(panels, ("cka", "rsa"), ("linear CKA", "RSA"), strict=True):
        values = found[measure].numpy()
        drawn = axes.imshow(np.ma.masked_invalid(values), cmap="viridis", vmin=0, vmax=1)
        axes.set_facecolor("0.8")
        axes.set_title(words, fontsize=10)
        axes.set_xticks(range(len(layers[1])), layers[1], rotation=90, fontsize=8, parse_math=False)
        axes.set_xlabel(f"B: {names[1]}", parse_math=False)
        if max(values.shape) <= _NUMBERS:
            _write_numbers(axes, values)
    panels[0].set_yticks(range(len(layers[0])), layers[0], fontsize=8, parse_math=False)
    panels[0].set_ylabel(f"A: {names[0]}", parse_math=False)
    figure.colorbar(drawn, ax=panels, fraction=0.03, pad=0.01)
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def _write_numbers(axes: Axes, values: Any) -> None:
    for (row, column), value in np.ndenumerate(values):
        if not math.isnan(value):
            colour = "black" if value > 0.6 else "white"
            text = f"{value:.2f}".replace("0.", ".", 1)
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=6.5)


def similarities_table(found: Mapping[str, Tensor], *, names: tuple[str, str], layers: Pair) -> str:
    """For each layer of A the most alike one of B by CKA, and the one of the same name.

    Args:
        found, names, layers: see `draw_similarities`.
    """
    rows = [["layer of A", "most alike in B", "CKA", "unbiased", "RSA", "same name: CKA", "RSA"]]
    for place, name in enumerate(layers[0]):
        row = found["cka"][place]
        best = None if bool(row.isnan().all()) else int(row.nan_to_num(-1).argmax())
        same = layers[1].index(name) if name in layers[1] else None
        like = "" if best is None else layers[1][best]
        shown = _shown(found, place, best, "cka", "cka_unbiased", "rsa")
        rows.append([name, like, *shown, *_shown(found, place, same, "cka", "rsa")])
    return f"A: {names[0]}\nB: {names[1]}\n{columns(rows, right=range(2, 7))}"


def _shown(found: Mapping[str, Tensor], row: int, column: int | None, *measures: str) -> list[str]:
    if column is None:
        return [""] * len(measures)
    values = [float(found[measure][row, column]) for measure in measures]
    return ["-" if math.isnan(value) else f"{value:.3f}" for value in values]
