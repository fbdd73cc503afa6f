"""Drawings as SVG inside of the page: curves, a reliability diagram, the shapes in a network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cnntrain.show.page import text
from cnntrain.show.words import counted, percent
from cnntrain.tasks.calibration import Bin

_WIDE, _HIGH, _LEFT, _BELOW, _ABOVE, _RIGHT = 340, 210, 50, 32, 10, 10
_MOST_POINTS = 300
_DECADES = 20.0
"""Ratio of the largest to the smallest value from which on an axis is logarithmic."""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Curve:
    """Points (x, y) that belong together; `kind` is `a` or `b`, as the style has them."""

    name: str
    points: Points
    kind: str


@dataclass(frozen=True)
class _Axis:
    """Numbers as places along one side of a drawing."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def at(self, value: float) -> float:
        low, high, value = (
            (math.log(x) for x in (self.low, self.high, value))
            if self.is_log
            else (self.low, self.high, value)
        )
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        if self.is_log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            found = [10.0**power for power in range(first, last + 1)]
            return [x for x in found if self.low <= x <= self.high]
        rough = (self.high - self.low) / 4
        power = 10 ** math.floor(math.log10(rough))
        step = power * next(x for x in (1, 2, 5, 10) if x * power >= rough)
        first = math.ceil(self.low / step - 1e-9)
        return [step * n for n in range(first, math.floor(self.high / step + 1e-9) + 1)]


def line_chart(curves: Sequence[Curve], *, title: str, form: Callable[[float], str]) -> str:
    """Curves over epochs, with a legend below; nothing where no curve has a point."""
    curves = [Curve(c.name, _thinned(c.points), c.kind) for c in curves if c.points]
    if not curves:
        return ""
    xs, ys = zip(*(point for curve in curves for point in curve.points), strict=True)
    across = _Axis(min(0.0, *xs), max(1.0, *xs), _LEFT, _WIDE - _RIGHT)
    is_log = min(ys) > 0 and max(ys) / min(ys) > _DECADES
    low = 10 ** math.floor(math.log10(min(ys))) if is_log else min(0.0, *ys)
    high = max(ys) if max(ys) > low else low + 1.0
    up = _Axis(low, high, _HIGH - _BELOW, _ABOVE, is_log)
    parts = _frame(across, up, form, "epoch")
    for curve in curves:
        places = [(across.at(x), up.at(y)) for x, y in curve.points]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline class="l {curve.kind}" points="{line}"/>')
        if len(places) <= 12:
            parts += [f'<circle class="f{curve.kind}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>'
                      for x, y in places]  # fmt: skip
    last = "; ".join(f"{c.name} ends at {form(c.points[-1][1])}" for c in curves)
    keys = "&emsp;".join(
        f'<span class="key {c.kind}"></span>{text(f"{c.name} {form(c.points[-1][1])}")}'
        for c in curves
    )
    scale = ", logarithmic" if is_log else ""
    head = f"<strong>{text(title + scale)}</strong>"
    drawn = _svg(parts, f"{title} over epochs: {last}")
    return f"<figure>{head}{drawn}<figcaption>{keys}</figcaption></figure>"


def reliability_diagram(bins: Sequence[Bin], *, title: str, caption: str) -> str:
    """How often the network is right (bars) at which probability; the line is where they agree."""
    side = _HIGH - _BELOW - _ABOVE
    across = _Axis(0, 1, _LEFT, _LEFT + 1.55 * side)
    up = _Axis(0, 1, _HIGH - _BELOW, _ABOVE)
    parts = _frame(across, up, lambda x: percent(x, places=0), "probability of the predicted class")
    for each in bins:
        if each.accuracy is not None:
            left, right, top = across.at(each.low), across.at(each.high), up.at(each.accuracy)
            height = up.start - top
            parts.append(
                f'<rect class="fa" x="{left + 1:.1f}" y="{top:.1f}" width="{right - left - 2:.1f}" '
                f'height="{max(height, 1):.1f}" opacity=".75"/>'
            )
    ends = (across.at(0), up.at(0), across.at(1), up.at(1))
    points = "{:.1f},{:.1f} {:.1f},{:.1f}".format(*ends)
    parts.append(f'<polyline class="l b" points="{points}"/>')
    there = (each for each in bins if each.accuracy is not None)
    said = "; ".join(
        f"{percent(b.low, places=0)} to {percent(b.high, places=0)}: {counted(b.images, 'image')}, "
        f"{percent(b.accuracy, places=0)} right"
        for b in there
    )
    drawn = _svg(parts, f"{title}. {said}")
    head = f"<strong>{text(title)}</strong>"
    return f"<figure>{head}{drawn}<figcaption>{text(caption)}</figcaption></figure>"


def shapes_drawing(shapes: Sequence[tuple[str, tuple[int, ...]]]) -> str:
    """What an image becomes on its way: a block for each shape, `(C, H, W)` or `(F,)`.

    The face of a block is as large as the maps, its depth grows with their number; both are drawn
    on a logarithmic scale, so that the small ones are seen.
    """
    parts, x, ground = [], 12.0, 128.0
    for name, shape in shapes:
        side = 14 * math.log2(1 + shape[-1]) if len(shape) == 3 else 8.0
        deep = 3.2 * math.log2(1 + shape[0]) if len(shape) == 3 else 6.0
        tall = side if len(shape) == 3 else 12 * math.log2(1 + shape[0])
        back = deep * 0.7
        top, right = ground - tall, x + side
        parts += [
            f'<path class="box" d="M{x:.1f} {top:.1f} l{deep:.1f} {-back:.1f} h{side:.1f} '
            f'v{tall:.1f} l{-deep:.1f} {back:.1f}"/>',
            f'<rect class="box" x="{x:.1f}" y="{top:.1f}" width="{side:.1f}" height="{tall:.1f}"/>',
            f'<path class="grid" fill="none" d="M{right:.1f} {top:.1f} l{deep:.1f} {-back:.1f}"/>',
        ]
        middle = x + side / 2
        size = f"{shape[1]}x{shape[2]}" if len(shape) == 3 else ""
        words = [(f"{shape[0]:,}", "strong"), (size, ""), (name, "")]
        parts += [
            _words(word, middle, ground + 16 + 14 * line, kind=kind)
            for line, (word, kind) in enumerate(words)
        ]
        label = 6.2 * max(len(word) for word, _ in words)
        x += max(side + deep, label) + 22
    said = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes)
    size = f'width="{x:.0f}" height="176" viewBox="0 0 {x:.0f} 176" style="max-width:none"'
    return f'<svg {size} role="img" aria-label="{text(said)}">{"".join(parts)}</svg>'


def _frame(across: _Axis, up: _Axis, form: Callable[[float], str], below: str) -> list[str]:
    """Grid lines with their numbers, and what stands below the axis."""
    parts = []
    left, right = across.start, across.end
    for value in up.ticks():
        y = up.at(value)
        parts.append(f'<path class="grid" d="M{left:.1f} {y:.1f} H{right:.1f}"/>')
        parts.append(_words(form(value), left - 6, y + 4, "end"))
    is_share = below != "epoch"
    for value in across.ticks():
        if is_share or value == round(value):
            word = percent(value, places=0) if is_share else f"{value:.0f}"
            parts.append(_words(word, across.at(value), up.start + 15))
    return [*parts, _words(below, (left + right) / 2, up.start + 29)]


def _words(words: str, x: float, y: float, anchor: str = "middle", kind: str = "") -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {where}>{text(words)}</text>'


def _svg(parts: Sequence[str], label: str) -> str:
    box = f'viewBox="0 0 {_WIDE} {_HIGH}" width="{_WIDE}" height="{_HIGH}"'
    return f'<svg {box} role="img" aria-label="{text(label)}">{"".join(parts)}</svg>'


def _thinned(points: Points) -> Points:
    """At most about so many, the last one among them."""
    step = max(1, len(points) // _MOST_POINTS)
    return points if step == 1 else [*points[:-1:step], points[-1]]
