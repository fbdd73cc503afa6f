"""scripts/mutations.yaml fits the package: each text is where it says, each test exists."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
MUTATIONS: dict[str, Any] = yaml.safe_load(
    (ROOT / "scripts" / "mutations.yaml").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MUTATIONS)
def test_no_mutation_is_stale(name: str) -> None:
    """The text to change occurs once, the changed file is Python still, the tests are there."""
    each = MUTATIONS[name]
    text = (ROOT / each["file"]).read_text(encoding="utf-8")
    assert text.count(each["old"]) == 1
    changed = ast.parse(text.replace(each["old"], each["new"]))
    assert ast.dump(changed) != ast.dump(ast.parse(text))
    for test in each["tests"]:
        file, _, function = test.partition("[")[0].partition("::")
        assert f"\ndef {function}(" in (ROOT / file).read_text(encoding="utf-8")


def test_every_room_has_one() -> None:
    rooms = {
        child.name for child in (ROOT / "cnntrain").iterdir() if (child / "__init__.py").is_file()
    }
    assert {each["file"].split("/")[1] for each in MUTATIONS.values()} == rooms
    assert len(MUTATIONS) >= 34
