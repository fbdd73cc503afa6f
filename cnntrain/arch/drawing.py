"""Drawing a network with matplotlib: SVG, PNG or PDF."""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Outline

from cnntrain.arch.layout import TITLE, Box, Drawing
from cnntrain.arch.picture import picture
from cnntrain.arch.plan import Plan
from cnntrain.core.atomic import disk_errors

COLOURS = {
    "weights": "#cfe2f3",
    "smaller": "#fbe3c8",
    "plain": "#f1f1f1",
    "folded": "#d8ecd3",
    "join": "#eadcf4",
}
INK, FAINT = "#222222", "#666666"
MARGIN = 14.0
DOTS = 150
"""Of a PNG, in an inch; fewer where the picture would have more than `PIXELS` along a side."""

PIXELS = 12_000


def draw(plan: Plan, path: Path, *, depth: int | None = None, title: str = "") -> None:
    """Draw a network from top to bottom: a box for each layer, with its output shape.

    Blue boxes have weights, orange ones change height and width or flatten, green ones are blocks
    that are not opened, violet ones join; a frame is a block that is.

    Args:
        plan: of the network.
        path: the file, overwritten; its suffix tells the format: .svg, .png or .pdf.
        depth: levels of blocks to open; 1 opens none. None: as many as stay readable.
        title: what stands above.

    Raises:
        DiskError: the file cannot be written.
    """
    whole, drawing = picture(plan, depth=depth), Drawing()
    whole.put(drawing, MARGIN, MARGIN + TITLE)
    width = max(whole.width, 5.5 * len(title)) + 2 * MARGIN
    height = whole.height + 2 * MARGIN + TITLE
    figure = Figure(figsize=(width / 72, height / 72))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.axis("off")
    axes.text(MARGIN, MARGIN, title, fontsize=9, fontweight="bold", color=INK, va="center")
    for frame in drawing.frames:
        _frame(axes, frame)
    for points in drawing.lines:
        _arrow(axes, points, has_head=len(points) > 2 or _is_arrow(points, drawing))
    for box in drawing.boxes:
        _box(axes, box)
    dots = min(DOTS, PIXELS * 72 / max(width, height))
    kind = path.suffix[1:].lower()
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with (
        matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "cnntrain"}),  # plain text
        disk_errors(path),
    ):
        figure.savefig(path, format=kind, dpi=dots, metadata=undated.get(kind), facecolor="white")


def _is_arrow(points: list[tuple[float, float]], drawing: Drawing) -> bool:
    """A straight line has a head where it ends in a box or a frame."""
    x, y = points[-1]
    ends = [*drawing.boxes, *drawing.frames]
    return any(box.x <= x <= box.x + box.width and abs(box.y - y) < 0.5 for box in ends)


def _box(axes: Axes, box: Box) -> None:
    shape = FancyBboxPatch(
        (box.x + 2, box.y + 2),
        box.width - 4,
        box.height - 4,
        boxstyle="round,pad=2,rounding_size=3",
        facecolor=COLOURS[box.look],
        edgecolor=FAINT,
        linewidth=0.6,
    )
    axes.add_patch(shape)
    x, y = box.x + box.width / 2, box.y + box.height / 2
    above = 5 if box.detail else 0
    axes.text(x, y - above, box.title, fontsize=7.5, color=INK, ha="center", va="center")
    axes.text(x, y + 6, box.detail, fontsize=7, color=FAINT, ha="center", va="center")


def _frame(axes: Axes, frame: Box) -> None:
    if frame.width == 0:  # the name of a column
        axes.text(frame.x + 3, frame.y + 2, frame.title, fontsize=7, color=FAINT, style="italic")
        return
    shape = FancyBboxPatch(
        (frame.x + 2, frame.y + 2),
        frame.width - 4,
        frame.height - 4,
        boxstyle="round,pad=2,rounding_size=4",
        facecolor="#00000008",
        edgecolor="#aaaaaa",
        linewidth=0.6,
    )
    axes.add_patch(shape)
    words = f"{frame.title}   {frame.detail}"
    axes.text(frame.x + 6, frame.y + 9, words, fontsize=7, color=FAINT, va="center")


def _arrow(axes: Axes, points: list[tuple[float, float]], *, has_head: bool) -> None:
    shape = FancyArrowPatch(
        path=Outline(points),
        arrowstyle="-|>" if has_head else "-",
        mutation_scale=6,
        linewidth=0.7,
        color=INK,
        shrinkA=0,
        shrinkB=0,
        joinstyle="round",
    )
    axes.add_patch(shape)
