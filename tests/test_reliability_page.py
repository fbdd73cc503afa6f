"""docs/reliability.md names every part of scripts/torture, and its table is written from files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from torturing.page import write_table

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reliability.md").read_text("utf-8")
FOUND = {
    "title": "what was tried",
    "checks": 1200,
    "failed": 1,
    "failures": ["why"],
    "numbers": {"kills": 1200, "by phase": {"start-up": 2}, "early and late": [1.5, 2]},
    "seconds": 61.4,
    "command": "scripts/torture kills",
}


def test_the_page_describes_every_part(script: Callable[[str], ModuleType]) -> None:
    described, _, written = PAGE.partition("<!-- torture -->")
    assert re.findall(r"^\| `(\w+)` \|", described, re.M) == list(script("torture").PLANS)
    assert "<!-- end -->" in written


def test_the_table_is_written_between_the_marks(tmp_path: Path) -> None:
    page, source = tmp_path / "page.md", tmp_path / "found.json"
    page.write_text("above\n<!-- torture -->\nold\n<!-- end -->\nbelow\n")
    source.write_text(json.dumps({"kills": FOUND}))
    write_table(page, [source])
    text = page.read_text()
    row = "| `kills` | what was tried | 1,200 | 1 | 61 | `scripts/torture kills` |"
    figures = "- `kills`: kills: 1,200; by phase: start-up 2; early and late: 1.5 to 2"
    assert row in text.splitlines()
    assert figures in text.splitlines()
    assert text.startswith("above\n<!-- torture -->\n\n| part |")
    assert text.endswith("\n<!-- end -->\nbelow\n")
    with pytest.raises(SystemExit, match="kills is in an earlier file"):
        write_table(page, [source, source])
    page.write_text("no marks")
    with pytest.raises(SystemExit, match="has no `<!-- torture -->`"):
        write_table(page, [source])
