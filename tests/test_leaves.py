"""Rooms that no other room needs: they are removed with their commands, and the rest works."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

import cnntrain

PACKAGE = Path(cnntrain.__file__).parent

LEAVES = {
    "bench": ["bench"],
    "card": ["report"],
    "diagnose": ["diagnose"],
    "explain": ["features", "visualize"],
    "export": ["export"],
}
"""Each leaf with the commands that it has files of in `cli/`."""

CALLED_BY = {
    "bench": set[str](),
    "card": set[str](),
    "diagnose": {"__init__.py"},
    "explain": {"cli/compare_representations.py", "cli/pictures.py"},
    "export": set[str](),
}
"""Who else imports it, at the moment when it is asked for: the front door, and the commands of
pictures, of which there are none without the leaf, and of `compare --representations`."""

SCRIPT = """
import importlib, json, pkgutil, sys
import cnntrain
names = [m.name for m in pkgutil.walk_packages(cnntrain.__path__, "cnntrain.")]
for name in names:
    importlib.import_module(name)
from cnntrain.cli.app import main
codes = []
for words in json.loads(sys.argv[1]):
    sys.argv = ["cnntrain", *words]
    try:
        main()
        codes.append(0)
    except SystemExit as end:
        codes.append(end.code)
print(json.dumps([cnntrain.__file__, names, [code or 0 for code in codes]]))
"""


@cache
def imported(file: Path) -> tuple[str, ...]:
    """Every module that a file imports anywhere, for type checkers too."""
    return tuple(_imported(file))


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package without its leaves and their commands."""
    package = tmp_path_factory.mktemp("place") / "cnntrain"
    shutil.copytree(PACKAGE, package)
    for leaf, commands in LEAVES.items():
        shutil.rmtree(package / leaf)
        for command in commands:
            (package / "cli" / f"{command}.py").unlink()
    return package


@pytest.mark.parametrize("leaf", LEAVES)
def test_nobody_imports_a_leaf(leaf: str) -> None:
    gone = [PACKAGE / "cli" / f"{command}.py" for command in LEAVES[leaf]]
    for file in set(PACKAGE.rglob("*.py")) - set(gone) - set((PACKAGE / leaf).rglob("*.py")):
        if file.relative_to(PACKAGE).as_posix() not in CALLED_BY[leaf]:
            asked = [name for name in imported(file) if f"{name}.".startswith(f"cnntrain.{leaf}.")]
            assert not asked, file


@pytest.mark.slow
def test_without_the_leaves_the_rest_works(
    copied: Path, run_file: Callable[..., Path], tmp_path: Path
) -> None:
    file, run = str(run_file({"train.epochs": 1})), str(tmp_path / "run")
    working = [["check", file], ["fit", file, "--out", run], ["eval", run], ["--help"]]
    working += [["list", what] for what in ("layers", "checks", "pictures", "keys")]
    commands = [command for of_leaf in LEAVES.values() for command in of_leaf]
    removed = [[command, "--help"] for command in commands]
    environment = {**os.environ, "PYTHONPATH": str(copied.parent), "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps([*working, *removed])],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    used, modules, codes = json.loads(done.stdout.splitlines()[-1])
    assert Path(used).parent == copied
    assert not {f"cnntrain.{leaf}" for leaf in LEAVES} & set(modules)
    assert len(modules) > 200
    # 2 is what the command line answers to a command that there is not
    assert codes == [0] * len(working) + [2] * len(removed), done.stderr
    for command in commands:
        assert f"No such command '{command}'" in done.stderr
        assert f"\n  {command} " not in done.stdout
