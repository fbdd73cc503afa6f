"""docs/architecture.md describes the house as it is: its rooms, its contract, files that exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import cnntrain

PACKAGE = Path(cnntrain.__file__).parent
ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")


def section(heading: str) -> str:
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def files(text: str) -> list[Path]:
    """The files and folders that a text names."""
    named = re.findall(r"`([\w/]+(?:\.py|\.yaml|/))`", text)
    outside = ("configs/", "tests/", "scripts/")
    places = {name: ROOT if name.startswith(outside) else PACKAGE for name in named}
    return [place / name for name, place in places.items() if name != "cnntrain/"]


def test_the_rooms_are_those_there_are() -> None:
    named = re.findall(r"^\| `(\w+)` \|", section("Rooms"), re.MULTILINE)
    there = sorted(file.parent.name for file in PACKAGE.glob("*/__init__.py"))
    assert sorted(named) == there


def test_the_contract_is_the_one_that_is_checked() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    [contract] = settings["tool"]["importlinter"]["contracts"]
    [drawn] = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert drawn.splitlines() == [row.replace("cnntrain.", "") for row in contract["layers"]]
    order = re.findall(r"\w+", drawn)
    named = re.findall(r"^\| `(\w+)` \|", section("Rooms"), re.MULTILINE)
    assert named == order


def test_every_file_that_it_names_exists() -> None:
    assert len(files(PAGE)) > 50
    assert [file for file in files(PAGE) if not file.exists()] == []


def test_functions_are_where_it_says() -> None:
    for function, file in re.findall(r"`(\w+)` (?:of|in)\s+`([\w/]+\.py)`", PAGE):
        text = (PACKAGE / file).read_text("utf-8")
        assert re.search(rf"^\s*(def|class) {function}\b|^    {function}:", text, re.M), function


def test_it_is_short_and_so_is_what_a_newcomer_reads() -> None:
    assert len(PAGE.splitlines()) < 200
    first = files(section("Where a newcomer starts"))
    assert len(first) == 10
    assert sum(len(file.read_text("utf-8").splitlines()) for file in first) < 1500
