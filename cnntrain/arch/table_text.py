"""A plan as a table for people: in columns for the terminal, or as Markdown."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from cnntrain.arch.coverage import coverages, in_words
from cnntrain.arch.network import Shape
from cnntrain.arch.plan import Plan
from cnntrain.arch.table import Learning, Row, Share, frozen_parameters, joined, rows, totals
from cnntrain.core.units import byte_size
from cnntrain.show.tables import INDENT, columns, markdown

HEAD = (
    *("layer", "", "output", "parameters", "share", "multiply-adds", "share"),
    *("sees", "stride", "offset", "memory"),
)
NUMBERS = range(3, len(HEAD) + 1)
"""Columns that are flush right."""

LEGEND = (
    "sees: pixels along one side that a unit depends on; stride: pixels from one unit to the next;",
    "offset: what the first unit sees, where pixels below 0 are padding; memory: what the forward",
    "pass of training keeps for the backward pass; shares are of the whole network",
)
LEARNS = (
    "learns: from which epoch on, and the factor of the learning rate; what does not keeps its",
    "weights and its batch norm statistics",
)
WIDE = 120
"""Columns of a wide terminal; a longer table is indented by one blank a level, not by two."""
SHARES = frozenset({4, 6})
"""Columns that stand close to the one before."""


def as_text(
    plan: Plan, *, batch: int = 1, depth: int | None = None, learning: Learning | None = None
) -> str:
    """The table in columns, and the totals.

    Args:
        plan: of the network.
        batch: images, for the memory of the activations.
        depth: levels to show; blocks that are then alike share a line. None: all, each by itself.
        learning: what of it learns, and when, which gets a column; None: all of it, always.
    """
    found, total = rows(plan, batch=batch, learning=learning), totals(plan, batch=batch)
    for indent in ("  ", " "):
        lines = _lines(plan, folded(found, depth), total, indent)
        table = columns(lines, right=NUMBERS, close=SHARES, rules=(1, len(lines) - 1))
        if max(map(len, table.splitlines())) <= WIDE:
            break
    legend = [*LEGEND, *(LEARNS if _is_mixed(found) else ())]
    facts = [*_covered(plan), *_in_words(total, frozen_parameters(found))]
    return "\n".join([table, "", *facts, "", *legend])


def as_markdown(
    plan: Plan, *, batch: int = 1, depth: int | None = None, learning: Learning | None = None
) -> str:
    """The table in Markdown, and the totals as a list; arguments as those of `as_text`."""
    found, total = rows(plan, batch=batch, learning=learning), totals(plan, batch=batch)
    lines = _lines(plan, folded(found, depth), total, INDENT)
    facts = [*_covered(plan), *_in_words(total, frozen_parameters(found))]
    items = (f"- {line}" for line in facts)
    return "\n".join([markdown(lines, right=NUMBERS), "", *items])


def _in_words(total: Mapping[str, int], frozen: int) -> list[str]:
    """The totals in words."""
    trained = f", of which {frozen:,} are frozen in the first epoch" if frozen else " trained"
    heads = total["head_multiply_adds"]
    images = "1 image" if total["batch"] == 1 else f"{total['batch']:,} images"
    kept = byte_size(total["activation_bytes"])
    return [
        f"units: {total['units']:,}, the outputs of layers with weights",
        f"parameters: {total['parameters']:,}{trained}, {total['buffers']:,} more in buffers; "
        f"{byte_size(total['weight_bytes'])} in float32",
        f"multiply-adds: {total['multiply_adds']:,} for one image forward, which are "
        f"{total['flops']:,} FLOPs" + (f"; heads: {heads:,} more in training" if heads else ""),
        f"memory of the activations in training: {kept} for a batch of {images} in float32",
    ]


def _covered(plan: Plan) -> list[str]:
    """How many units of the last layer with maps see each pixel."""
    return [f"units of '{c.layer}' that see a pixel: {in_words(c)}" for c in coverages(plan)[-1:]]


def folded(table: Sequence[Row], depth: int | None) -> list[Row]:
    """The rows of the first levels; blocks in a row that are alike become one, with their sums."""
    if depth is None:
        return list(table)
    shown = [row for row in table if row.depth < depth]
    is_folded = {row.name for row in shown if row.kind == "block" and row.depth == depth - 1}
    groups = groupby(shown, key=lambda row: likeness(row) if row.name in is_folded else row.name)
    return [merged(list(same)) for _, same in groups]


def likeness(row: Row) -> Hashable:
    """Equal for rows of one list that differ in nothing but their numbers: `block2`, `block3`."""
    if not row.is_numbered:
        return row.name
    parent = row.name.rpartition(".")[0]
    learns = tuple(share.how for share in row.learns)
    return (parent, row.operation, row.out_shape, row.parameters, row.multiply_adds, learns)


def merged(same: Sequence[Row]) -> Row:
    """One row for several that are alike: `block2-36`, with their sums and the last one's field."""
    if len(same) == 1:
        return same[0]
    last = same[-1]
    number = last.last_name.removeprefix(last.operation)
    name, operation = f"{same[0].name}-{number}", f"{len(same)} alike"
    summed = ["parameters", "parameter_share", "buffers", "multiply_adds", "activation_bytes"]
    summed += ["multiply_add_share"] if last.multiply_add_share is not None else []
    sums = {key: sum(getattr(row, key) for row in same) for key in summed}
    learns = joined(share for row in same for share in row.learns)
    return replace(last, name=name, operation=operation, learns=learns, **sums)


def _lines(
    plan: Plan, table: Sequence[Row], total: Mapping[str, int], indent: str
) -> list[tuple[str, ...]]:
    counts = (f"{total['parameters']:,}", "", f"{total['multiply_adds']:,}", "")
    lines = [
        HEAD,
        ("input", "", times(plan.body.in_shape), *[""] * (len(HEAD) - 3)),
        *(_cells(row, indent) for row in table),
        ("total", "", "", *counts, "", "", "", byte_size(total["activation_bytes"])),
    ]
    if not _is_mixed(table):
        return lines
    marks = ["learns", "", *(words(row.learns) for row in table), ""]
    return [(*line, mark) for line, mark in zip(lines, marks, strict=True)]


def _is_mixed(table: Sequence[Row]) -> bool:
    """Whether not all learn alike, from the first epoch on and with the same rate."""
    return any(share.how != (1, 1.0, None) for row in table for share in row.learns)


def _cells(row: Row, indent: str) -> tuple[str, ...]:
    first, size = row.first_pixel, row.receptive_field
    seen: list[str] = []
    if first is not None and isinstance(size, tuple):
        seen = [f"{low}..{low + side - 1}" for low, side in zip(first, size, strict=True)]
    return (
        indent * row.depth + row.last_name,
        "" if row.is_numbered or row.kind == "path" else row.operation,
        times(row.out_shape),
        _count(row.parameters),
        _percent(row.parameter_share),
        _count(row.multiply_adds),
        _percent(row.multiply_add_share),
        size if isinstance(size, str) else "?" if size is None else _square(size),
        "" if row.stride is None else _square(row.stride),
        " ".join(dict.fromkeys(seen)),
        byte_size(row.activation_bytes) if row.activation_bytes else "",
    )


def words(found: tuple[Share, ...]) -> str:
    """`yes`, `no`, `from 3`, `to 5`, `from 3, x 0.1`; `in part` where epochs differ inside."""
    epochs = {(share.from_epoch, share.until) for share in found}
    if len(epochs) != 1:
        return "in part" if epochs else ""
    [(epoch, until)] = epochs
    if epoch is None:
        return "no"
    factors = sorted({share.lr_factor for share in found})
    rate = "-".join(f"{factor:.3g}" for factor in dict.fromkeys((factors[0], factors[-1])))
    parts = [f"from {epoch}"] if epoch > 1 else []
    parts += [] if until is None else [f"to {until - 1}"]
    parts += [f"x {rate}"] if factors != [1.0] else []
    return ", ".join(parts) or "yes"


def times(shape: Shape) -> str:
    """`3x224x224`."""
    return "x".join(str(side) for side in shape)


def _square(pair: tuple[int, int]) -> str:
    return "x".join(dict.fromkeys(map(str, pair)))


def _count(number: int) -> str:
    return f"{number:,}" if number else ""


def _percent(share: float | None) -> str:
    return f"{100 * share:.1f}%" if share else ""
