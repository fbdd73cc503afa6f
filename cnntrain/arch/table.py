"""A plan as a table: one row per layer, with shares, and as plain data for JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from cnntrain.arch.network import Shape
from cnntrain.arch.planned import Plan, PlannedNode


@dataclass(frozen=True)
class Row:
    """One layer, block or path: `depth` tells how far inside others it is.

    Counts include what is inside; `multiply_adds` is for one image's forward pass.
    `receptive_field` is (height, width) in pixels, `image` for all of it, None if not known.
    """

    name: str
    operation: str
    depth: int
    out_shape: Shape
    parameters: int
    multiply_adds: int
    receptive_field: tuple[int, int] | Literal["image"] | None
    is_leaf: bool


def rows(plan: Plan) -> list[Row]:
    """Every node of the plan, outer ones first."""
    return [_row(name, node) for name, node in plan.walk()]


def leaves(plan: Plan) -> Iterator[Row]:
    """The rows of layers that have no layers inside."""
    return (row for row in rows(plan) if row.is_leaf)


def as_data(plan: Plan) -> dict[str, Any]:
    """The table and its totals as plain data."""
    return {
        "input_shape": list(plan.body.in_shape),
        "output_shape": list(plan.body.out_shape),
        "parameters": plan.parameters,
        "multiply_adds": plan.multiply_adds,
        "layers": [asdict(row) for row in rows(plan)],
    }


def as_text(plan: Plan) -> str:
    """The table in columns, with totals; plain text of any width."""
    lines = [("layer", "", "output", "parameters", "multiply-adds", "sees")]
    for row in rows(plan):
        field = row.receptive_field or "?"
        seen = field if isinstance(field, str) else _times(field)
        indent = "  " * row.depth + row.name.rpartition(".")[2]
        counts = (f"{row.parameters:,}", f"{row.multiply_adds:,}")
        lines.append((indent, row.operation, _times(row.out_shape), *counts, seen))
    lines.append(("total", "", "", f"{plan.parameters:,}", f"{plan.multiply_adds:,}", ""))
    widths = [max(len(line[i]) for line in lines) for i in range(6)]
    text = []
    for line in lines:
        left = [line[i].ljust(widths[i]) for i in range(3)]
        right = [line[i].rjust(widths[i]) for i in range(3, 6)]
        text.append("  ".join(left + right).rstrip())
    rule = "-" * max(map(len, text))
    return "\n".join([text[0], rule, *text[1:-1], rule, text[-1]])


def _row(name: str, node: PlannedNode) -> Row:
    field = node.receptive_field
    size: tuple[int, int] | Literal["image"] | None = None
    if field is not None:
        size = "image" if field.whole else (field.height.size, field.width.size)
    return Row(
        name=name,
        operation=node.node.operation,
        depth=name.count("."),
        out_shape=node.out_shape,
        parameters=node.parameters,
        multiply_adds=node.multiply_adds,
        receptive_field=size,
        is_leaf=not any(True for _ in node.lists),
    )


def _times(shape: Shape) -> str:
    return "x".join(str(side) for side in shape)
