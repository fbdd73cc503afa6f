"""CONTRIBUTING.md: what it names is there, and every kind of choice has its row."""

from __future__ import annotations

import re
from pathlib import Path

from cnntrain.core.choices import CHOICES

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
ADD = TEXT.partition("\n## To add a ...\n")[2].partition("\n## ")[0]
ROWS = [
    [cell.strip() for cell in row.split("|")[1:-1]] for row in re.findall(r"^\|.*\|$", ADD, re.M)
]
KINDS = {row[0]: row for row in ROWS if "NAME.py" in row[1]}


def test_every_kind_of_choice_has_a_row_with_its_folder() -> None:
    for catalogue in CHOICES.values():
        [row] = [row for kind, row in KINDS.items() if kind.startswith(catalogue.kind)]
        folder, _, _ = row[1].strip("`").rpartition("/")
        assert (ROOT / folder).is_dir(), row
        assert row[2] == f"`@{catalogue.decorator}`"
        assert {entry.file.parent for entry in catalogue.entries()} == {ROOT / folder}
    assert "command" in KINDS


def test_files_and_sweeps_are_there() -> None:
    files = re.findall(r"`((?:cnntrain|tests|scripts|docs)/[\w/.]+|scripts/\w+)`", TEXT)
    assert len(files) > 20
    for file in files:
        if "NAME" not in file:
            assert (ROOT / file).exists(), file
    sweeps = re.findall(r"`([A-Z]+)` in `([\w/.]+)`", TEXT)
    assert len(sweeps) > 8
    for name, file in sweeps:
        text = (ROOT / file).read_text("utf-8")
        assert re.search(rf"^(    )?{name}\b.*= ", text, re.M), (name, file)
