"""The kernels of a layer as tiles."""

from __future__ import annotations

from matplotlib.figure import Figure
from torch import Tensor

from cnntrain.visualize.pixels import magnified, mosaic, signed
from cnntrain.visualize.table import Cell, columns_for, draw_table

MOST_TILES, MOST_ROWS, MOST_COLUMNS = 256, 24, 32


def draw_filters(weight: Tensor, *, name: str) -> Figure:
    """Kernels over one or three maps as grey or colour tiles, others as a row of grey slices.

    Args:
        weight: (out, in, height, width).
        name: of the layer, for the title.
    """
    out, inputs, height, width = weight.shape
    what = f"{name}: {out} filters of {height} x {width} over {inputs} map{'s' * (inputs > 1)}"
    if inputs in (1, 3):
        tiles = signed(weight[:MOST_TILES])
        columns = columns_for(len(tiles))
        note = "each scaled by its largest weight; grey is zero"
        shown = "" if out <= MOST_TILES else f"; the first {MOST_TILES}"
    else:
        part = weight[:MOST_ROWS, :MOST_COLUMNS]
        # one scale a row, so that the slices of a filter can be compared
        tiles = signed(part.permute(0, 2, 1, 3).flatten(2)[:, None])
        tiles = tiles.reshape(len(part), height, part.shape[1], width, 3)
        tiles = tiles.transpose(0, 2, 1, 3, 4).reshape(-1, height, width, 3)
        columns = part.shape[1]
        note = "a row is a filter, a column a map that it reads; each row scaled; grey is zero"
        shown = f"; the first {len(part)} filters and {columns} maps"
        shown = shown if out > MOST_ROWS or inputs > MOST_COLUMNS else ""
    factor = max(1, round(40 / max(height, width)))  # tiles of about 40 pixels, gaps of 3
    sheet = mosaic(magnified(tiles, factor), columns=columns, gap=3)
    side = min(14.0, max(3.0, max(sheet.shape[:2]) / 80))
    return draw_table([[Cell(sheet)]], title=f"{what}{shown}\n{note}", side=side)
