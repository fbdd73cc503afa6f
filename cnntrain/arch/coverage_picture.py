"""The coverage of the image by each layer's units, drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from cnntrain.arch.coverage import Coverage
from cnntrain.show.image_table import Cell, Scale, columns_for, draw_table, heat, in_rows
from cnntrain.show.words import counted


def draw_coverage(found: Sequence[Coverage], *, title: str) -> Figure:
    """One picture of the image's size for each layer: how many of its units see each pixel.

    Each has a scale of its own, from 0 to the largest number.
    """
    cells = []
    for each in found:
        seen = np.outer(each.rows, each.columns)
        fewest, most = int(seen.min()), int(seen.max())
        between = counted(most, "unit")
        between = between if fewest == most else f"{fewest:,} to {between}"
        cells.append(Cell(heat(seen, low=0, high=most), f"{each.layer}\n{between}"))
    columns = columns_for(len(cells)) if len(cells) > 4 else len(cells)
    return draw_table(
        in_rows(cells, columns),
        title=f"Units that see each pixel: {title}",
        side=1.5,
        scale=Scale("viridis", "none", "most of this layer"),
    )
