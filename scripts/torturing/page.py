"""The table of docs/reliability.md."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- torture -->", "<!-- end -->"


def write_table(page: Path, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Put the counts between the two marks of a page; rows of other parts stay."""
    text = page.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    old, mark, after = rest.partition(END)
    if not mark:
        raise SystemExit(f"{page} has no `{BEGIN}` and `{END}`")
    rows = dict(re.findall(r"^\| `(\w+)` (\|.*)$", old, re.MULTILINE))
    for name, part in found.items():
        numbers = "; ".join(f"{key}: {_shown(value)}" for key, value in part["numbers"].items())
        failed = part["failed"] or "0"
        rows[name] = f"| {part['title']} | {part['checks']:,} | {failed} | {numbers} |"
    head = "| part | what is done | checks | failed | figures |\n|---|---|---|---|---|\n"
    table = head + "".join(f"| `{name}` {row}\n" for name, row in rows.items())
    page.write_text(f"{before}{BEGIN}\n\n{table}\n{END}{after}", "utf-8")


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(item)}" for key, item in value.items())
    if isinstance(value, list):
        return " to ".join(map(_shown, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
