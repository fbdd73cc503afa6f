"""docs/reproduction.md and scripts/reproduce: every part runs, is resumed, and has its table."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from reproducing.page import table, write_part
from reproducing.part import Part, Row

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reproduction.md").read_text("utf-8")
MACHINE = {"torch": "2.14", "processor": "Fast"}


def test_quick_trains_every_row_once(
    script: Callable[[str], ModuleType],
    own_place: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The second time only the figures that are gone are measured; ours are not mixed with them."""
    reproduce = script("reproduce")
    monkeypatch.setattr(sys, "argv", ["reproduce", "--quick", "--out", "kept"])
    assert reproduce.main() == 0
    lines = capsys.readouterr().out.splitlines()
    names = [(name, row.name) for name, part in reproduce.PARTS.items() for row in part.rows]
    assert [line.partition(",")[0] for line in lines] == [f"{a} {b}" for a, b in names]
    assert not any(line.endswith("(kept)") for line in lines)
    Path("kept/mnist/lenet5-0.json").unlink()
    assert reproduce.main() == 0
    again = capsys.readouterr().out.splitlines()
    assert [line for line in again if not line.endswith("(kept)")] == [
        re.sub("CPU seconds: .*", "CPU seconds: None", line)  # the run itself was complete
        for line in lines
        if line.startswith("mnist lenet5,")
    ]
    monkeypatch.setattr(sys, "argv", ["reproduce", "points", "--out", "kept", "--seeds", "0"])
    with pytest.raises(SystemExit, match="is the result of another command"):
        reproduce.main()


def test_the_page_has_every_part_with_its_rows(script: Callable[[str], ModuleType]) -> None:
    for name, part in script("reproduce").PARTS.items():
        text = PAGE.partition(f"<!-- {name} -->")[2].partition(f"<!-- end {name} -->")[0]
        shown = [line.split("|")[1:3] for line in text.splitlines() if line.startswith("| ")][1:]
        assert [[cell.strip() for cell in cells] for cells in shown] == [
            [row.what, row.published] for row in part.rows
        ]
        for row in part.rows:
            assert row.command("SEED", part.data) in text


def test_a_table(tmp_path: Path) -> None:
    rows = tuple(
        Row(name, f"the {name}", "lenet5", "2 %", lambda error: error <= 0.02, reason="too short")
        for name in ("good", "bad")
    )
    part = Part("title", rows, ("error",), lambda run: {}, ())
    results = {
        name: {
            seed: {"figures": {"error": error}, "epochs": 3, "cpu_seconds": seconds,
                   "date": "2026-11-30", "machine": MACHINE}
            for seed, (error, seconds) in enumerate(found)
        }
        for name, found in {
            "good": [(0.01, 60.0), (0.03, 80.0), (0.02, None)],
            "bad": [(0.03, None), (0.03, None), (0.01, None)],
        }.items()
    }  # fmt: skip
    head, _, good, bad, *_ = table("name", part, results)
    assert head == "|  | published | error: median (range) | reached | epochs | CPU time |"
    assert good == "| the good | 2 % | 2.00 % (1.00 % to 3.00 %) | yes | 3 | 70.0 s |"
    assert bad == "| the bad | 2 % | 3.00 % (1.00 % to 3.00 %) | no: too short | 3 | - |"
    page = tmp_path / "page.md"
    page.write_text("above\n<!-- name -->\nold\n<!-- end name -->\nbelow\n")
    write_part(page, "name", part, results)
    text = page.read_text()
    assert text.startswith("above\n<!-- name -->\n\n|  | published |")
    assert "seeds 0, 1, 2; 2026-11-30; torch 2.14; Fast." in text
    assert "\ncnntrain fit configs/lenet5.yaml -s seed=SEED -s data.root=DIR\n" in text
    assert text.endswith("```\n\n<!-- end name -->\nbelow\n")
    with pytest.raises(SystemExit, match="has no `<!-- other -->`"):
        write_part(page, "other", part, results)
