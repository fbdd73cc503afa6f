"""Many small images as one, each with its number."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cnntrain.show.image_table import TITLE, Cell, Mark, width_of
from cnntrain.show.pixels import Pixels, magnified, mosaic
from cnntrain.show.words import shortened

_CRISP, _SPACE, _LETTERS = 40, 0.13, 0.26  # pixels; inches
_SMALLEST, _LARGEST = 0.42, 1.2  # inches


def numbered(
    tiles: Pixels, *, columns: int, title: str, names: Sequence[str] | None = None
) -> tuple[Cell, float]:
    """A grid of tiles (N, H, W, 3) with their names below, by default their numbers from 0 on.

    Tiles are enlarged until the grid is as wide as the title, as far as that is sensible.

    Returns:
        The cell and the inches of its longer side.
    """
    tiles, inches, unit = _sized(tiles, columns, title)
    space = math.ceil(_SPACE / unit)
    count, height, width, _ = tiles.shape
    padded = np.ones((count, height + space, width, 3), dtype=np.float32)
    padded[:, :height] = tiles
    gap = _gap(tiles)
    marks = []
    for number, name in enumerate(names or [str(number) for number in range(count)]):
        x = number % columns * (width + gap)
        y = number // columns * (height + space + gap) + height
        marks.append(Mark(shortened(name, inches, measure=width_of), x, y + 0.01 / unit))
    sheet = mosaic(padded, columns=columns, gap=gap)
    return Cell(sheet, marks=tuple(marks)), max(sheet.shape[:2]) * unit


def ruled(
    tiles: Pixels, *, columns: int, title: str, across: bool = True, every: int = 1, by: int = 1
) -> tuple[Cell, float]:
    """A grid whose rows are numbered from 0 at the left, and whose columns at the top.

    Args:
        across: number the columns, too.
        every: so many rows only one has its number.
        by: what the numbers grow by from row to row.

    Returns:
        as `numbered`, whose arguments the others are.
    """
    tiles, _, unit = _sized(tiles, columns, title)
    gap = _gap(tiles)
    grid = mosaic(tiles, columns=columns, gap=gap)
    top, left = math.ceil(_SPACE / unit) if across else 0, math.ceil(_LETTERS / unit)
    sheet = np.ones((grid.shape[0] + top, grid.shape[1] + left, 3), dtype=np.float32)
    sheet[top:, left:] = grid
    height, width = (side + gap for side in tiles.shape[1:3])
    rows = -(-len(tiles) // columns)
    marks = [
        Mark(str(row * by), 0, top + row * height + max(0.0, (height - _SPACE / unit) / 2))
        for row in range(0, rows, every)
    ]
    marks += [Mark(str(each), left + each * width, 0) for each in range(columns) if across]
    return Cell(sheet, marks=tuple(marks)), max(sheet.shape[:2]) * unit


def _gap(tiles: Pixels) -> int:
    return max(1, round(float(min(tiles.shape[1:3])) * 0.07))


def _sized(tiles: Pixels, columns: int, title: str) -> tuple[Pixels, float, float]:
    """The tiles, magnified; the inches of a tile's longer side, and of a pixel."""
    tiles = magnified(tiles, max(1, round(_CRISP / max(tiles.shape[1:3]))))
    wide = max(width_of(line, TITLE) for line in title.splitlines())
    share = tiles.shape[2] / max(tiles.shape[1:3])
    largest = _LARGEST if columns > 1 else math.inf  # a strip is a row
    inches = min(largest, max(_SMALLEST, wide / (columns * share * 1.07)))
    return tiles, inches, inches / max(tiles.shape[1:3])
