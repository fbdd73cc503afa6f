"""Pictures of several results, one below the other."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, ImageDraw

from cnntrain.core.atomic import write_output
from cnntrain.tasks.protocol import Result, Task

_TITLE = 36
"""Pixels above each picture, for the head's name."""


def draw_stacked(parts: Iterable[tuple[str, Task, Result, Sequence[str]]], *, path: Path) -> None:
    """Draw what each task has into one PNG, which is overwritten.

    Args:
        parts: name, task, result and names of the outputs of each head.
        path: the file.

    Raises:
        DiskError: the file cannot be written.
    """
    drawn: list[tuple[str, Image.Image]] = []
    with TemporaryDirectory() as folder:
        for name, task, result, names in parts:
            file = Path(folder, f"{name}.png")
            draw = getattr(task, "draw", None)
            if draw is None:
                continue
            draw(result, names, file)
            with Image.open(file) as opened:
                drawn.append((name, opened.convert("RGB")))
    width = max(picture.width for _, picture in drawn)
    height = sum(picture.height + _TITLE for _, picture in drawn)
    whole = Image.new("RGB", (width, height), "white")
    top = 0
    for name, picture in drawn:
        ImageDraw.Draw(whole).text((8, top + 8), name, fill="black", font_size=22)
        whole.paste(picture, (0, top + _TITLE))
        top += picture.height + _TITLE
    made = io.BytesIO()
    whole.save(made, format="PNG")
    write_output(path, made.getvalue())
