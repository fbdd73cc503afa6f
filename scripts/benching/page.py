"""The tables of docs/performance.md."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benching.row import MISSED, Row

BEGIN, END = "<!-- bench -->", "<!-- end -->"
HEAD = "| | job | compared with | figure (quartiles) | target | | remarks |\n"
RULE = "|---|---|---|---:|---:|---|---|\n"


def write_tables(page: Path, source: Path) -> None:
    """Put what a file of `--json` says between the two marks of a page, part by part."""
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise SystemExit(f"{page} has no `{BEGIN}` and `{END}`")
    parts = json.loads(source.read_text("utf-8"))["parts"]
    text = "\n".join(_part(name, part) for name, part in parts.items())
    page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", "utf-8")


def _part(name: str, part: Mapping[str, Any]) -> str:
    rows = "".join(line(as_row(data)) for data in part["rows"])
    how = f"`{part['command']}`: {'; '.join(_circumstances(part))}"
    return f"### {name}: {part['title']}\n\n{HEAD}{RULE}{rows}\n{how}.\n"


def as_row(data: Mapping[str, Any]) -> Row:
    """What `Row.as_data` gave."""
    return Row(**{key: value for key, value in data.items() if key != "verdict"})


def line(row: Row) -> str:
    """A row of the table."""
    figure = "-" if row.median is None else f"{shown(row.median)}{_unit(row)}"
    if row.low is not None and row.high is not None and row.low != row.high:
        figure += f" ({shown(row.low)} to {shown(row.high)})"
    sign = "at most" if row.lower_is_better else "at least"
    target = "" if row.target is None else f"{sign} {shown(row.target)}"
    remarks = "; ".join(_remarks(row))
    cells = (row.figure, row.job, row.peer, figure, target, row.verdict, remarks)
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |\n"


def shown(value: float) -> str:
    """Three digits, or all of a whole number."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def _unit(row: Row) -> str:
    return " x" if row.unit == "x" else f" {row.unit}"


def _remarks(row: Row) -> Iterator[str]:
    if row.ours and row.theirs:
        yield f"{row.ours} against {row.theirs}"
    elif row.ours:
        yield row.ours
    if row.note:
        yield row.note
    if row.verdict == MISSED and row.reason:
        yield row.reason


def _circumstances(part: Mapping[str, Any]) -> Iterator[str]:
    """When, on what, and next to what a part was measured."""
    machine = part["machine"]
    yield f"{part['date']}, {part['seconds']:,.0f} s, {part['rounds']} rounds"
    yield f"{machine['cores']} cores of {machine['processor']}, {part['threads']} thread(s)"
    rest = (f"{name} {machine[name]}" for name in machine if name not in ("processor", "cores"))
    yield ", ".join(rest)
    if part["others"] is not None:
        yield f"other processes had {part['others']:.0%} of the processors"
