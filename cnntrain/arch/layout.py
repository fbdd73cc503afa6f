"""Where things go in a picture: pieces that know their size, put together, then put in place.

Lengths are points (1/72 inch), y grows downward. Every piece is entered at the top and left at the
bottom, both at `axis` from its left edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

Point = tuple[float, float]
Look = Literal["weights", "smaller", "plain", "folded", "join"]

GAP, SIDE, LANE, PAD = 14.0, 16.0, 10.0, 8.0
"""Between boxes below and beside each other, between lines at the side, around a frame."""
LETTER, TALL, FLAT, TITLE = 4.9, 26.0, 15.0, 13.0
"""Width of a letter; height of a box of two lines and of one, and of a frame's title."""


@dataclass(frozen=True)
class Box:
    """A box with its name and a line of facts; x and y are its upper left corner."""

    x: float
    y: float
    width: float
    height: float
    title: str
    detail: str
    look: Look


@dataclass
class Drawing:
    """Everything that is drawn, in place."""

    boxes: list[Box] = field(default_factory=list)
    frames: list[Box] = field(default_factory=list)
    lines: list[list[Point]] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0

    def arrow(self, *points: Point) -> None:
        """A line that ends in an arrow."""
        self.lines.append(list(points))


class Piece(Protocol):
    """A part of the picture."""

    width: float
    height: float
    axis: float

    def put(self, drawing: Drawing, x: float, y: float) -> None:
        """Draw it with its upper left corner there."""
        ...


class Leaf:
    """One box."""

    def __init__(self, title: str, detail: str, look: Look) -> None:
        self.title, self.detail, self.look = title, detail, look
        self.width = max(len(title) * 1.08, len(detail), 6) * LETTER + 10
        self.height = TALL if detail else FLAT
        self.axis = self.width / 2

    def put(self, drawing: Drawing, x: float, y: float) -> None:
        """Draw the box."""
        box = Box(x, y, self.width, self.height, self.title, self.detail, self.look)
        drawing.boxes.append(box)


class Stack:
    """Pieces below each other; each reads one or more of those above it, or what is above all.

    Args:
        pieces: name and piece of each.
        sources: for each, the names that it reads; `first` is what is above all of them.
        first: the name for that.
    """

    def __init__(
        self,
        pieces: Sequence[tuple[str, Piece]],
        *,
        sources: Sequence[tuple[str, ...]],
        first: str,
    ) -> None:
        self.pieces, self.sources, self.first = list(pieces), list(sources), first
        self.axis = max((piece.axis for _, piece in self.pieces), default=0.0)
        right = max((piece.width - piece.axis for _, piece in self.pieces), default=0.0)
        above = [first, *(name for name, _ in self.pieces)]
        self.skips = [
            (source, index)
            for index, reads in enumerate(self.sources)
            for source in reads
            if source != above[index]
        ]
        self.inner = self.axis + right
        self.width = self.inner + LANE * (len(self.skips) + bool(self.skips))
        self.height = sum(piece.height for _, piece in self.pieces)
        self.height += GAP * max(len(self.pieces) - 1, 0)

    def put(self, drawing: Drawing, x: float, y: float) -> None:
        """Draw the pieces from top to bottom, and the arrows between them."""
        axis, previous, tops = x + self.axis, self.first, []
        ends = {self.first: y - GAP / 2}
        for (name, piece), reads in zip(self.pieces, self.sources, strict=True):
            piece.put(drawing, axis - piece.axis, y)
            if previous in reads and previous != self.first:
                drawing.arrow((axis, ends[previous]), (axis, y))
            tops.append(y)
            ends[name], previous = y + piece.height, name
            y += piece.height + GAP
        for lane, (source, index) in enumerate(self.skips):
            side = x + self.inner + LANE * (lane + 1)
            begin, end = ends[source] + GAP * 0.3, tops[index] - GAP * 0.45
            drawing.arrow(
                (axis, ends[source]),
                (axis, begin),
                (side, begin),
                (side, end),
                (axis, end),
                (axis, tops[index]),
            )


class Parallel:
    """Columns beside each other that all read the same, and are joined below.

    Args:
        columns: a title and a piece of each; None is a line that passes by.
        join: what joins them.
    """

    def __init__(self, columns: Sequence[tuple[str, Piece | None]], *, join: Leaf) -> None:
        self.columns, self.join = list(columns), join
        self.heads = TITLE if any(title for title, _ in columns) else 0.0
        widths = [max(_width(piece), len(title) * LETTER) for title, piece in columns]
        self.lefts = [sum(widths[:i]) + SIDE * i for i in range(len(widths))]
        self.widths = widths
        inner = self.lefts[-1] + widths[-1]
        main = columns[0][1] if len(columns) == 2 and columns[1][1] is None else None
        self.axis = main.axis if main is not None else inner / 2
        self.axis = max(self.axis, join.width / 2)
        self.width = max(inner, self.axis + join.width / 2)
        self.tallest = max(_height(piece) for _, piece in columns)
        self.height = GAP + self.heads + self.tallest + GAP + join.height

    def put(self, drawing: Drawing, x: float, y: float) -> None:
        """Draw the columns, the arrows to them, and what joins them."""
        axis, top = x + self.axis, y + GAP + self.heads
        bottom = top + self.tallest
        for left, width, (title, piece) in zip(self.lefts, self.widths, self.columns, strict=True):
            begin = x + left + (width - _width(piece)) / 2
            at = begin + (piece.axis if piece is not None else 0.0)
            at = axis if abs(at - axis) < 1 else at
            end = bottom + GAP
            turns = [(at, bottom + GAP / 2), (axis, bottom + GAP / 2)] if at != axis else []
            into = (
                [(axis, y), (axis, y + GAP / 2), (at, y + GAP / 2)] if at != axis else [(axis, y)]
            )
            if title:
                drawing.frames.append(Box(at, y + GAP, 0, 0, title, "", "plain"))
            if piece is None or piece.height == 0:
                drawing.arrow(*into, *turns, (axis, end))
                continue
            piece.put(drawing, at - piece.axis, top)
            drawing.arrow(*into, (at, top))
            drawing.arrow((at, top + piece.height), *turns, (axis, end))
        self.join.put(drawing, axis - self.join.axis, bottom + GAP)


class Frame:
    """A piece with a frame and a title around it; `ends`: nothing follows below."""

    def __init__(self, title: str, detail: str, inner: Piece, *, ends: bool = False) -> None:
        self.title, self.detail, self.inner, self.ends = title, detail, inner, ends
        words = (len(title) + len(detail) + 3) * LETTER * 0.85 + 2 * PAD
        spare = max(words - inner.width - 2 * PAD, 0.0) / 2
        self.axis = inner.axis + PAD + spare
        self.width = inner.width + 2 * (PAD + spare)
        self.height = inner.height + TITLE + 2 * PAD

    def put(self, drawing: Drawing, x: float, y: float) -> None:
        """Draw the frame, then what is in it."""
        box = Box(x, y, self.width, self.height, self.title, self.detail, "plain")
        drawing.frames.append(box)
        axis, top = x + self.axis, y + TITLE + PAD
        self.inner.put(drawing, axis - self.inner.axis, top)
        drawing.lines.append([(axis, y + TITLE), (axis, top)])
        if not self.ends:
            drawing.lines.append([(axis, top + self.inner.height), (axis, y + self.height)])


class Beside:
    """A piece whose output goes on downward and also into other pieces at its right."""

    def __init__(self, main: Piece, sides: Sequence[Piece]) -> None:
        self.main, self.sides, self.axis = main, list(sides), main.axis
        self.width = main.width + sum(SIDE + side.width for side in sides)
        self.height = max(main.height, *(side.height for side in sides)) + GAP

    def put(self, drawing: Drawing, x: float, y: float) -> None:
        """Draw the piece, its line down, and the others beside it."""
        axis, end = x + self.axis, y + self.main.height
        self.main.put(drawing, x, y)
        drawing.lines.append([(axis, end), (axis, y + self.height)])
        left = x + self.main.width + SIDE
        for side in self.sides:
            lane, at = left - SIDE / 2, left + side.axis
            side.put(drawing, left, y + GAP)
            turn = (lane, end + GAP / 2)
            up = [(lane, y + GAP / 2), (at, y + GAP / 2), (at, y + GAP)]
            drawing.arrow((axis, end), (axis, end + GAP / 2), turn, *up)
            left += side.width + SIDE


class Columns:
    """Stacks beside each other that go on from one to the next."""

    def __init__(self, stacks: Sequence[Stack]) -> None:
        self.stacks, self.axis = list(stacks), stacks[0].axis
        self.width = sum(stack.width for stack in stacks) + 2 * SIDE * (len(stacks) - 1)
        self.height = max(stack.height for stack in stacks) + 2 * GAP

    def put(self, drawing: Drawing, x: float, y: float) -> None:
        """Draw the stacks, and a line from the end of each to the beginning of the next."""
        end: Point | None = None
        for stack in self.stacks:
            stack.put(drawing, x, y + GAP)
            at = x + stack.axis
            if end is not None:
                lane, low = x - SIDE, end[1] + GAP * 0.6
                drawing.arrow(end, (end[0], low), (lane, low), (lane, y), (at, y), (at, y + GAP))
            end = (at, y + GAP + stack.height)
            x += stack.width + 2 * SIDE


def _width(piece: Piece | None) -> float:
    return LANE if piece is None else max(piece.width, LANE)


def _height(piece: Piece | None) -> float:
    return 0.0 if piece is None else piece.height
