"""The table of docs/reliability.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- torture -->", "<!-- end -->"


def write_table(page: Path, sources: Sequence[Path]) -> None:
    """Put what files of `--json` say between the two marks of a page, in their order."""
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise SystemExit(f"{page} has no `{BEGIN}` and `{END}`")
    found: dict[str, Mapping[str, Any]] = {}
    for source in sources:
        for name, part in json.loads(source.read_text("utf-8")).items():
            if name in found:
                raise SystemExit(f"{source}: {name} is in an earlier file, too")
            found[name] = part
    table = "| part | what was tried | checks | failed | seconds | command |\n"
    table += "|---|---|---:|---:|---:|---|\n"
    for name, part in found.items():
        table += f"| `{name}` | {part['title']} | {part['checks']:,} | {part['failed']:,} | "
        command = part.get("command", f"scripts/torture {name}")
        table += f"{part['seconds']:,.0f} | `{command}` |\n"
    figures = "".join(f"- `{name}`: {_figures(part)}\n" for name, part in found.items())
    page.write_text(f"{before}{BEGIN}\n\n{table}\n{figures}\n{END}{after}", "utf-8")


def _figures(part: Mapping[str, Any]) -> str:
    return "; ".join(f"{key}: {_shown(value)}" for key, value in part["numbers"].items())


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(item)}" for key, item in value.items())
    if isinstance(value, list):
        return " to ".join(map(_shown, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
