"""How many units of a layer see each pixel: border pixels count in fewer of them.

A unit counts for all pixels between the first and the last that it sees, those between the taps of
a dilated kernel included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from cnntrain.arch.plan import Plan
from cnntrain.arch.receptive import Axis


@dataclass(frozen=True)
class Coverage:
    """Of one layer; a pixel at (row, column) is seen by `rows[row] * columns[column]` units.

    Args:
        layer: its name.
        rows: for each row of the image, how many units of one column see it.
        columns: for each column of the image, how many units of one row see it.
    """

    layer: str
    rows: tuple[int, ...]
    columns: tuple[int, ...]


def coverages(plan: Plan) -> list[Coverage]:
    """Of the outermost layers that give maps, where one sees otherwise than the one before."""
    _, height, width = plan.body.in_shape
    found: list[Coverage] = []
    for node in plan.body.nodes:
        field = node.receptive_field
        if field is None or field.whole or len(node.out_shape) != 3:
            continue
        rows = counts(field.height, units=node.out_shape[1], pixels=height)
        columns = counts(field.width, units=node.out_shape[2], pixels=width)
        if not found or (found[-1].rows, found[-1].columns) != (rows, columns):
            found.append(Coverage(node.name, rows, columns))
    return found


def counts(axis: Axis, *, units: int, pixels: int) -> tuple[int, ...]:
    """How many of the units along one side see each pixel of it."""
    lows = [axis.low + unit * axis.jump for unit in range(units)]
    return tuple(sum(low <= at <= low + axis.size - 1 for low in lows) for at in range(pixels))


def in_words(coverage: Coverage) -> str:
    """Such as `along one side 2 x2, 3 x4, 4 x20`: each number of units, and for how many pixels."""
    sides = [coverage.rows, coverage.columns]
    if sides[0] == sides[1]:
        return f"along one side {_runs(coverage.rows)}"
    return f"along the height {_runs(sides[0])}; along the width {_runs(sides[1])}"


def _runs(numbers: Sequence[int]) -> str:
    runs = [(number, len(list(same))) for number, same in groupby(numbers)]
    if len(runs) > 13:
        return f"{numbers[0]} at the border to {max(numbers)}"
    return ", ".join(f"{number} x{length}" for number, length in runs)
