"""Tables of text: in aligned columns, as Markdown, or as CSV."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Sequence
from typing import TextIO

from rich.cells import cell_len

from cnntrain.core.escapes import escaped, in_csv, in_markdown

INDENT = "\u2003"
"""A blank that Markdown shows at the beginning of a cell."""


def columns(
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[int] = (),
    close: Collection[int] = (),
    rules: Collection[int] = (),
) -> str:
    """Rows as aligned columns, two spaces apart, also where a letter is two cells wide, or none.

    Args:
        rows: of cells, all of the same length.
        right: columns that are flush right; the others are flush left.
        close: columns with one space before them.
        rules: rows with a line above them.
    """
    rows = [[escaped(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        line = ""
        for i, (cell, width) in enumerate(zip(row, widths, strict=True)):
            line += "" if i == 0 else " " if i in close else "  "
            blanks = " " * (width - cell_len(cell))
            line += blanks + cell if i in right else cell + blanks
        lines.append(line.rstrip())
    rule = "-" * max(map(cell_len, lines), default=0) + "\n"
    return "\n".join(rule + line if i in rules else line for i, line in enumerate(lines))


def markdown(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> str:
    """Rows as a table in Markdown, the first as its head; `right` as in `columns`."""
    rule = ["--:" if i in right else ":--" for i in range(len(rows[0]))]
    cells = [[in_markdown(cell).replace(INDENT, "&emsp;") for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [cells[0], rule, *cells[1:]])


def write_csv(rows: Iterable[Iterable[object]], file: TextIO) -> None:
    """Write rows as CSV; no name in them is a formula, or more than one line."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows([in_csv(c) if isinstance(c, str) else c for c in row] for row in rows)
