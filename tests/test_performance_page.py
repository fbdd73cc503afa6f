"""docs/performance.md and scripts/bench: the parts, the form of the tables, right verdicts."""

from __future__ import annotations

import importlib
import json
import re
import statistics
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from benching.page import line, write_tables
from benching.row import Row, row, skipped
from benching.turns import Seconds, in_turns, times_as_fast

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "performance.md").read_text("utf-8")
TABLES = PAGE.partition("<!-- bench -->")[2].partition("<!-- end -->")[0]


def test_every_part_is_there(script: Callable[[str], ModuleType]) -> None:
    for part in script("bench").PARTS.values():
        module, _, function = part.function.partition(".")
        assert callable(getattr(importlib.import_module(f"benching.{module}"), function))


def test_the_page_has_the_parts_in_their_order(script: Callable[[str], ModuleType]) -> None:
    parts = {name: part.title for name, part in script("bench").PARTS.items()}
    shown = re.findall(r"^### (\w+): (.*)$", TABLES, re.M)
    assert [name for name in parts if name in dict(shown)] == [name for name, _ in shown]
    assert dict(shown).items() <= parts.items()
    for name, _ in shown:
        assert f"`scripts/bench {name} --data DIR" in TABLES


def test_the_page_s_verdicts_follow_from_its_numbers() -> None:
    for text in re.findall(r"^\| .* \|$", TABLES, re.M):
        cells = [cell.strip() for cell in text[1:-1].split("|")]
        assert len(cells) == 7, text
        _, _, _, figure, target, verdict, _ = cells
        if figure in ("figure (quartiles)", "-") or not target:
            assert verdict == ""
            continue
        [sign], [limit] = re.findall(r"^at (least|most)", target), re.findall(r"[\d.,]+$", target)
        value, limit = (float(each.replace(",", "")) for each in (figure.split()[0], limit))
        if abs(value - limit) > 0.006 * max(1, limit):  # three digits are shown
            reached = value >= limit if sign == "least" else value <= limit
            assert verdict == ("met" if reached else "missed"), text


@pytest.mark.parametrize(
    ("target", "lower_is_better", "verdict"),
    [(0.95, False, "met"), (1.5, False, "missed"), (1.5, True, "met"), (None, False, "")],
)
def test_a_row(target: float | None, lower_is_better: bool, verdict: str) -> None:
    values = [1.1, 0.9, 1.3, 1.2, 1.0]
    found = row("B1", "job", "peer", values, target=target, lower_is_better=lower_is_better,
                reason="slow here", ours="9 images", theirs="8 images")  # fmt: skip
    assert found.median == statistics.median(values)
    assert (found.low, found.high) == pytest.approx(
        (1.0, 1.2)
    )  # of five values: the second, fourth
    assert found.verdict == verdict
    assert Row(**{k: v for k, v in found.as_data().items() if k != "verdict"}) == found
    text = line(found)
    assert "| B1 | job | peer | 1.10 x (1.00 to 1.20) |" in text
    assert ("slow here" in text) == (verdict == "missed")
    assert "9 images against 8 images" in text


def test_a_row_without_a_figure_says_why() -> None:
    assert line(skipped("B1", "job", "timm", because="no timm here")) == (
        "| B1 | job | timm | - |  |  | not measured: no timm here |\n"
    )


def test_ways_take_turns_in_both_orders() -> None:
    calls = []
    found = in_turns(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=2, warm_up=1
    )
    assert calls == ["a", "b", "b", "a", "a", "b"]
    assert {name: len(taken) for name, taken in found.items()} == {"a": 2, "b": 2}
    assert times_as_fast([Seconds(4, 2)], [Seconds(12, 8)]) == [4]
    assert times_as_fast([Seconds(4, 2)], [Seconds(12, 8)], clock="wall") == [3]


def test_the_tables_are_written_between_the_marks(tmp_path: Path) -> None:
    page, source = tmp_path / "page.md", tmp_path / "found.json"
    page.write_text("above\n<!-- bench -->\nold\n<!-- end -->\nbelow\n")
    part = {
        "title": "a title",
        "command": "scripts/bench lenet5 --data DIR --rounds 7",
        "date": "2026-11-30",
        "seconds": 61.4,
        "rounds": 7,
        "threads": 1,
        "machine": {"processor": "Fast", "cores": 2, "torch": "2.14"},
        "others": 0.25,
        "rows": [row("B1", "job", "peer", [2.0]).as_data()],
    }
    source.write_text(json.dumps({"parts": {"lenet5": part}}))
    write_tables(page, source)
    text = page.read_text()
    assert text.startswith("above\n<!-- bench -->\n\n### lenet5: a title\n\n| | job |")
    assert "\n| B1 | job | peer | 2.00 x |  |  |  |\n" in text
    assert "2 cores of Fast, 1 thread(s); torch 2.14; other processes had 25%" in text
    assert text.endswith("\n<!-- end -->\nbelow\n")
    page.write_text("no marks")
    with pytest.raises(SystemExit, match="has no `<!-- bench -->`"):
        write_tables(page, source)
