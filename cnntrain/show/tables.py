"""Tables of text: in aligned columns, or as Markdown."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cnntrain.show.words import escaped


def columns(
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[int] = (),
    close: Collection[int] = (),
    rules: Collection[int] = (),
) -> str:
    """Rows as aligned columns, two spaces apart.

    Args:
        rows: of cells, all of the same length.
        right: columns that are flush right; the others are flush left.
        close: columns with one space before them.
        rules: rows with a line above them.
    """
    rows = [[escaped(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        line = ""
        for i, (cell, width) in enumerate(zip(row, widths, strict=True)):
            line += "" if i == 0 else " " if i in close else "  "
            line += cell.rjust(width) if i in right else cell.ljust(width)
        lines.append(line.rstrip())
    rule = "-" * max(map(len, lines), default=0) + "\n"
    return "\n".join(rule + line if i in rules else line for i, line in enumerate(lines))


def markdown(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> str:
    """Rows as a table in Markdown, the first as its head; `right` as in `columns`."""
    rule = ["--:" if i in right else ":--" for i in range(len(rows[0]))]
    rows = [[escaped(cell) for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [rows[0], rule, *rows[1:]])
