"""Two plans side by side: which layers they share, which differ, and by how much."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import Any, Literal

from cnntrain.arch.plan import Plan
from cnntrain.arch.table import Row, rows, totals
from cnntrain.arch.table_text import likeness, merged, times
from cnntrain.core.units import byte_size
from cnntrain.show.tables import INDENT, columns, markdown
from cnntrain.show.words import counted, percent, quantity

Quantities = Mapping[str, float | None]
Status = Literal["same", "differs", "only a", "only b"]
MARKS: dict[Status, str] = {"same": " ", "differs": "~", "only a": "-", "only b": "+"}


@dataclass(frozen=True)
class Line:
    """Two rows that stand for the same part, or one that only one network has."""

    status: Status
    depth: int
    a: Row | None
    b: Row | None

    @property
    def rows(self) -> list[Row]:
        """The one or two rows."""
        return [row for row in (self.a, self.b) if row is not None]


@dataclass(frozen=True)
class Comparison:
    """The result: names, totals (see `cnntrain.arch.table.totals`) and aligned rows.

    Totals may hold more than these: the other keys of `TOTALS`, None where one is unknown.
    """

    names: tuple[str, str]
    totals: tuple[Quantities, Quantities]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class _Part:
    """A row with the parts inside it."""

    row: Row
    inside: tuple[_Part, ...]

    @property
    def given_name(self) -> str:
        """Its name if someone chose it, else the operation."""
        return self.row.operation if self.row.is_numbered else self.row.last_name

    @property
    def content(self) -> tuple[object, ...]:
        """All that can differ, but for the part's own name and place."""
        row = self.row
        counts = (row.parameters, row.buffers, row.multiply_adds)
        inside = tuple((part.row.last_name, part.content) for part in self.inside)
        return (row.operation, row.out_shape, *counts, inside)


def compare(
    a: Plan, b: Plan, *, names: tuple[str, str], batch: int = 1, depth: int | None = None
) -> Comparison:
    """Align two networks.

    Parts are matched in order: first those that are equal, then in the gaps between them those of
    one name, then those of one operation. Matched blocks that differ are opened, to `depth` levels;
    others that are alike and follow each other share a line.
    """
    parts = [_parts(rows(plan, batch=batch)) for plan in (a, b)]
    lines = list(_align(parts[0], parts[1], depth))
    groups = (list(same) for _, same in groupby(lines, key=_likeness))
    sums = (totals(a, batch=batch), totals(b, batch=batch))
    return Comparison(names, sums, tuple(_merged(same) for same in groups))


def comparison_data(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain data; `ratio` is b / a, null where a is 0 or one is unknown."""
    one, other = comparison.totals
    pairs = {key: (one[key], other[key]) for key in one}
    return {
        "a": {"name": comparison.names[0], **one},
        "b": {"name": comparison.names[1], **other},
        "difference": {key: _difference(a, b) for key, (a, b) in pairs.items()},
        "ratio": {key: b / a if a and b is not None else None for key, (a, b) in pairs.items()},
        "layers": [asdict(line) for line in comparison.lines],
    }


def comparison_text(comparison: Comparison) -> str:
    """The comparison in columns."""
    body = columns(_body(comparison), right=range(5, 20), rules=[1])
    foot = columns(_foot(comparison), right=range(1, 20), rules=[1])
    legend = "~ differs   - only in A   + only in B   the differences are B minus A"
    return "\n".join([body, "", foot, "", legend])


def comparison_markdown(comparison: Comparison) -> str:
    """The comparison as two tables in Markdown."""
    body = markdown(_body(comparison, indent=INDENT), right=range(5, 20))
    return "\n".join([body, "", markdown(_foot(comparison), right=range(1, 20))])


def _parts(table: Sequence[Row]) -> tuple[_Part, ...]:
    """The rows as a tree, by their depths."""
    found: list[_Part] = []
    begin = 0
    while begin < len(table):
        end = begin + 1
        while end < len(table) and table[end].depth > table[begin].depth:
            end += 1
        found.append(_Part(table[begin], _parts(table[begin + 1 : end])))
        begin = end
    return tuple(found)


def _align(a: Sequence[_Part], b: Sequence[_Part], depth: int | None) -> Iterator[Line]:
    for one, other in _matched(a, b):
        if one is not None and other is not None:
            same = one.content == other.content
            yield Line("same" if same else "differs", one.row.depth, one.row, other.row)
            if not same and (depth is None or one.row.depth + 1 < depth):
                yield from _align(one.inside, other.inside, depth)
        elif one is not None:
            yield Line("only a", one.row.depth, one.row, None)
        elif other is not None:
            yield Line("only b", other.row.depth, None, other.row)


def _likeness(line: Line) -> Hashable:
    """Equal for closed blocks below each other that are alike, and only in one or in both nets."""
    is_block = line.rows[0].kind == "block" and line.status != "differs"
    rows = [likeness(row) if is_block else row.name for row in line.rows]
    return (line.status, *rows)


def _merged(same: Sequence[Line]) -> Line:
    a = [line.a for line in same if line.a is not None]
    b = [line.b for line in same if line.b is not None]
    first = same[0]
    return Line(first.status, first.depth, merged(a) if a else None, merged(b) if b else None)


Pairs = Iterator[tuple[_Part | None, _Part | None]]


def _matched(a: Sequence[_Part], b: Sequence[_Part], *, stage: int = 0) -> Pairs:
    keys = (
        lambda part: (part.given_name, part.content),
        lambda part: (part.given_name, part.row.operation),
        lambda part: part.row.operation,
    )
    if stage == len(keys):
        yield from ((part, None) for part in a)
        yield from ((None, part) for part in b)
        return
    left, right = ([keys[stage](part) for part in parts] for parts in (a, b))
    blocks = SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks()
    from_a = from_b = 0
    for begin_a, begin_b, size in blocks:
        yield from _matched(a[from_a:begin_a], b[from_b:begin_b], stage=stage + 1)
        from_a, from_b = begin_a + size, begin_b + size
        yield from zip(a[begin_a:from_a], b[begin_b:from_b], strict=True)


def _body(comparison: Comparison, *, indent: str = "  ") -> list[tuple[str, ...]]:
    head = ("", "layer", "", "output of A", "of B", "parameters", "difference")
    lines: list[tuple[str, ...]] = [(*head, "multiply-adds", "difference")]
    for line in comparison.lines:
        names = dict.fromkeys(row.last_name for row in line.rows)
        kinds = dict.fromkeys(row.operation for row in line.rows)
        shapes = ["" if row is None else times(row.out_shape) for row in (line.a, line.b)]
        is_plain = len(kinds) == 1 and all(row.is_numbered for row in line.rows)
        lines.append(
            (
                MARKS[line.status],
                indent * line.depth + " / ".join(names),
                "" if is_plain else " / ".join(kinds),
                shapes[0],
                "" if shapes[0] == shapes[1] else shapes[1],
                *_counts(line, "parameters"),
                *_counts(line, "multiply_adds"),
            )
        )
    return lines


def _counts(line: Line, key: str) -> tuple[str, str]:
    one, other = (0 if row is None else getattr(row, key) for row in (line.a, line.b))
    return f"{one:,}" if one else "", f"{other - one:+,}" if one != other else ""


def _foot(comparison: Comparison) -> list[tuple[str, ...]]:
    one, other = comparison.totals
    lines: list[tuple[str, ...]] = [
        ("total", "A", "B", "difference", "B / A"),
        ("", *comparison.names, "", ""),
    ]
    for words, key in TOTALS:
        a, b = one.get(key), other.get(key)
        if a is None and b is None:
            continue
        change = _difference(a, b)
        sign = "-" if change is not None and change < 0 else "+"
        lines.append(
            (
                words.format(images=counted(int(one["batch"] or 0), "image")),
                *(_quantity(key, value) for value in (a, b)),
                sign + _quantity(key, abs(change)).replace(" %", " points") if change else "",
                f"{b / a:.3f}" if a and b is not None and key != "top1" else "",
            )
        )
    return lines


def _difference(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else b - a


def _quantity(key: str, value: float | None) -> str:
    if value is None:
        return ""
    if key.endswith("_bytes"):
        return byte_size(value)
    if key.endswith("_per_second"):
        return quantity(value)
    return percent(value) if key == "top1" else f"{value:,}"


TOTALS = (
    ("parameters", "parameters"),
    ("numbers in buffers", "buffers"),
    ("weights in float32", "weight_bytes"),
    ("multiply-adds of one image", "multiply_adds"),
    ("FLOPs (2 for a multiply-add)", "flops"),
    ("activations of {images} in training", "activation_bytes"),
    ("memory of training by SGD with momentum", "training_bytes"),
    ("top-1, published", "top1"),
    ("images per second, training", "training_images_per_second"),
    ("images per second, inference", "inference_images_per_second"),
)
"""The lines under the table: words, and the key of the totals."""
