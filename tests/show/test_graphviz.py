"""Graphviz is called as it wants to be, and missed with a remedy; a stand-in takes its place."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cnntrain.core.errors import DiskError, UsageError
from cnntrain.show.graphviz import draw_dot

STAND_IN = f"""#!{sys.executable}
import sys
text = sys.stdin.read()
if "broken" in text:
    sys.exit("Error: <stdin>: syntax error in line 1\\nmore")
print(sys.argv[1:], text)
"""


@pytest.fixture
def dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "dot"
    program.parent.mkdir()
    program.write_text(STAND_IN)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))


@pytest.mark.usefixtures("dot")
@pytest.mark.parametrize("name", ["net.svg", "NET.PNG", "net.pdf"])
def test_the_suffix_is_the_format(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    draw_dot('digraph { "ä" }', file)
    assert file.read_text("utf-8") == f"['-T{name[-3:].lower()}'] digraph {{ \"ä\" }}\n"


@pytest.mark.usefixtures("dot")
def test_what_dot_says_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot draw .*net.svg: Error: <stdin>.* line 1; give"):
        draw_dot("broken", tmp_path / "net.svg")
    assert not (tmp_path / "net.svg").exists()
    with pytest.raises(DiskError):
        draw_dot("digraph {}", tmp_path / "none" / "net.svg")


def test_without_graphviz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        UsageError, match=r"not installed; install Graphviz.*net\.dot or .*net\.mmd"
    ):
        draw_dot("digraph {}", tmp_path / "net.svg")
