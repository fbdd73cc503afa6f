"""Graphs in Graphviz's language as pictures, drawn by its program `dot`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from cnntrain.core.atomic import write_output
from cnntrain.core.errors import UsageError

SUFFIXES = (".svg", ".png", ".pdf")


def draw_dot(text: str, path: Path) -> None:
    """Draw a graph in the format of the file's suffix; an existing file is overwritten.

    Raises:
        UsageError: `dot` is not installed, or cannot draw it.
        DiskError: the file cannot be written.
    """
    remedy = f"give {path.with_suffix('.dot')} or {path.with_suffix('.mmd')} (Mermaid)"
    program = shutil.which("dot")
    if program is None:
        raise UsageError(
            f"{path} is drawn by Graphviz's program dot, which is not installed",
            remedy=f"install Graphviz (https://graphviz.org), or {remedy}",
        )
    drawn = subprocess.run(
        [program, f"-T{path.suffix[1:].lower()}"],
        input=text.encode(),
        capture_output=True,
        check=False,
    )
    if drawn.returncode or not drawn.stdout:
        said = drawn.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise UsageError(f"Graphviz's program dot cannot draw {path}: {said}", remedy=remedy)
    write_output(path, drawn.stdout)
