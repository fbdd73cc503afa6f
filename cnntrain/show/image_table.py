"""A picture of pictures: rows of images with captions, laid out in inches."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from cnntrain.core.atomic import write_output
from cnntrain.core.escapes import escaped
from cnntrain.show.pixels import Pixels
from cnntrain.show.words import shortened

SUFFIXES = (".png", ".svg")
DPI = 144
_EDGE, _GAP, _LINE = 0.15, 0.08, 0.15  # inches
_RULER: Any = RendererAgg(1, 1, DPI)  # type: ignore[no-untyped-call]
TITLE, _HEADING, _SMALL, _TINY = 10.0, 8.5, 7.5, 6.5  # points


@dataclass(frozen=True)
class Picture:
    """A figure, and what it shows in numbers and in words.

    Args:
        figure: to be saved.
        facts: plain data for `--json`.
        text: beside it, for the terminal.
        table: the result as text, if it is one.
    """

    figure: Figure
    facts: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    table: str = ""


@dataclass(frozen=True)
class Mark:
    """A small text; the left end of its top lies so many of the image's pixels from its corner."""

    text: str
    x: float
    y: float


@dataclass(frozen=True)
class Cell:
    """One image (H, W, 3), with lines of text below it; a gap may stand before it."""

    image: Pixels
    caption: str = ""
    apart: bool = False
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Scale:
    """A colour scale below the table, with what its two ends mean."""

    colours: str
    low: str
    high: str


def draw_table(
    rows: Sequence[Sequence[Cell]],
    *,
    title: str = "",
    headings: Sequence[str] = (),
    labels: Sequence[str] = (),
    side: float = 1.3,
    scale: Scale | None = None,
) -> Figure:
    """Draw rows of cells.

    Args:
        rows: cells; all images are drawn with `side` inches as their longer side.
        title: above the table; may have several lines.
        headings: above the columns.
        labels: left of the rows.
        scale: below.
    """
    sizes = [cell.image.shape[:2] for row in rows for cell in row]
    tallest, widest = (max(each) for each in zip(*sizes, strict=True))
    unit = side / max(tallest, widest)
    height = tallest * unit
    lines = max(_lines(cell.caption) for row in rows for cell in row)
    left = _EDGE + (max(map(width_of, labels)) + 0.08 if labels else 0)
    places = _columns(rows, left=left, unit=unit)
    ends = [_EDGE + width_of(line, TITLE) for line in title.splitlines()]
    ends += [sum(places[-1])]
    ends += [x + width_of(text, _HEADING) for text, (x, _) in zip(headings, places, strict=False)]
    total = max(ends) + _EDGE
    above = _EDGE + 0.21 * _lines(title) + (_LINE + 0.05 if headings else 0.05)
    step = height + lines * _LINE + _GAP + (0.06 if lines else 0)
    deep = above + len(rows) * step + (0.5 if scale else 0) + _EDGE / 2
    figure = Figure(figsize=(total, deep))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    _write(axes, _EDGE, _EDGE, title, size=TITLE)
    for number, row in enumerate(rows):
        top = above + number * step
        if labels:
            _write(axes, left - 0.06, top + height / 2, labels[number], ha="right", va="center")
        for cell, (x, width) in zip(row, places, strict=False):
            _draw_cell(axes, cell, (x, top, width), unit)
    for heading, (x, _) in zip(headings, places, strict=False):
        _write(axes, x, above - 0.05, heading, va="bottom", size=_HEADING)
    if scale is not None:
        _draw_scale(axes, scale, left=left, top=above + len(rows) * step + 0.08)
    axes.set_xlim(0, total)
    axes.set_ylim(deep, 0)
    axes.set_aspect("auto")
    return figure


def _columns(
    rows: Sequence[Sequence[Cell]], *, left: float, unit: float
) -> list[tuple[float, float]]:
    """Left edge and width of each column, in inches."""
    places: list[tuple[float, float]] = []
    x = left
    for cells in zip_longest(*rows):
        there = [cell for cell in cells if cell is not None]
        x += 2 * _GAP if places and any(cell.apart for cell in there) else 0
        width = max(cell.image.shape[1] for cell in there) * unit
        places.append((x, width))
        x += width + _GAP
    return places


def _draw_cell(axes: Axes, cell: Cell, place: tuple[float, float, float], unit: float) -> None:
    x, y, width = place
    tall, wide = (side * unit for side in cell.image.shape[:2])
    axes.imshow(np.clip(cell.image, 0, 1), extent=(x, x + wide, y + tall, y))
    for mark in cell.marks:
        _write(axes, x + mark.x * unit, y + mark.y * unit, mark.text, size=_TINY)
    text = "\n".join(shortened(line, width, measure=width_of) for line in cell.caption.splitlines())
    _write(axes, x, y + tall + 0.03, text, linespacing=1.15)


def _draw_scale(axes: Axes, scale: Scale, *, left: float, top: float) -> None:
    ramp = colormaps[scale.colours](np.linspace(0, 1, 256))[None, :, :3]
    axes.imshow(ramp, extent=(left, left + 2, top + 0.13, top), aspect="auto")
    _write(axes, left, top + 0.16, scale.low)
    _write(axes, left + 2, top + 0.16, scale.high, ha="right")


def _lines(text: str) -> int:
    return len(text.splitlines())


def _write(
    axes: Axes, x: float, y: float, text: str, *, size: float = _SMALL, va: str = "top", **how: Any
) -> None:
    # names of files and classes are no formulas, whatever is in them
    text = escaped(text, keep="\n")  # a byte that is no text is not drawn
    axes.text(x, y, text, fontsize=size, va=va, parse_math=False, **how)


def width_of(text: str, size: float = _SMALL) -> float:
    """Of one line, in inches."""
    return sum(_letter(letter, size) for letter in escaped(text))


@cache
def _letter(letter: str, size: float) -> float:
    # as it is drawn, rounded to whole pixels; a whole line would take milliseconds each time
    font = FontProperties(size=size)
    with _boxes_for_letters_without_a_font():
        return float(_RULER.get_text_width_height_descent(letter, font, ismath=False)[0]) / DPI


def heat(values: Any, *, low: float, high: float, colours: str = "viridis") -> Pixels:
    """Numbers (H, W) in the colours of a scale from `low` to `high`; what is no number is white."""
    scaled = (np.asarray(values, dtype=np.float64) - low) / max(high - low, 1e-30)
    scale = colormaps[colours].with_extremes(bad="white")
    array: Pixels = scale(scaled.clip(0, 1))[..., :3].astype(np.float32)
    return array


def columns_for(count: int, *, wide: float = 1.6, most: int = 64) -> int:
    """Columns of a grid about `wide` times as wide as high, its last row full if possible."""
    ideal = min(math.sqrt(count * wide), most)
    near = range(math.ceil(0.7 * ideal), min(most, math.floor(1.4 * ideal)) + 1)
    return min(near, key=lambda columns: (-count % columns, abs(columns - ideal)))


def in_rows(cells: Sequence[Cell], columns: int) -> list[Sequence[Cell]]:
    """The cells, so many a row."""
    return [cells[start : start + columns] for start in range(0, len(cells), columns)]


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the file's suffix; an existing file is overwritten.

    Raises:
        DiskError: it cannot be written.
    """
    made = io.BytesIO()
    with _boxes_for_letters_without_a_font():
        figure.savefig(made, format=path.suffix.lower().lstrip("."), dpi=DPI)
    write_output(path, made.getvalue())


@contextmanager
def _boxes_for_letters_without_a_font() -> Iterator[None]:
    """In pictures they are seen; matplotlib would warn of each, with lines of code."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        yield
