"""Every name that a script takes from the package is there; most scripts run only by hand."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
FILES = sorted(
    path
    for path in SCRIPTS.rglob("*")
    if path.suffix == ".py"
    or (path.is_file() and not path.suffix and b"python" in path.read_bytes()[:40])
)


def imported(file: Path) -> Iterator[tuple[str, str]]:
    """Modules of the package, and what is taken from each."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "cnntrain":
            yield from ((str(node.module), name.name) for name in node.names)


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(SCRIPTS)))
def test_what_a_script_imports_is_there(file: Path) -> None:
    for module, name in imported(file):
        found = importlib.import_module(module)
        if not hasattr(found, name):
            importlib.import_module(f"{module}.{name}")


def test_there_are_scripts_that_import() -> None:
    assert sum(1 for file in FILES if any(imported(file))) > 10
