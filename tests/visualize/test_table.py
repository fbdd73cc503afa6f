"""Pictures of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnntrain.core.errors import DiskError
from cnntrain.visualize.table import DPI, Cell, Scale, draw_table, fitting, save

BLUE = np.tile(np.array([0.0, 0.0, 1.0], dtype=np.float32), (4, 8, 1))


def test_a_picture_has_the_size_it_was_laid_out_with(tmp_path: Path) -> None:
    rows = [[Cell(BLUE, "one\ntwo"), Cell(BLUE, apart=True)], [Cell(BLUE)]]
    figure = draw_table(rows, title="a title", headings=["left", "right"], labels=["a", "b"],
                        side=1.0, scale=Scale("viridis", "0", "1"))  # fmt: skip
    save(figure, tmp_path / "a.png")
    width, height = (round(inches * DPI) for inches in figure.get_size_inches())
    with Image.open(tmp_path / "a.png") as image:
        assert abs(image.width - width) <= 1
        assert abs(image.height - height) <= 1
        pixels = np.asarray(image.convert("RGB"))
    blue = (pixels == (0, 0, 255)).all(axis=2).sum() / DPI**2
    assert blue == pytest.approx(3 * 0.5, rel=0.03)  # three cells of 1 inch by half an inch
    assert (pixels[0] == 255).all()  # nothing is cut off at the borders
    assert (pixels[:, -1] == 255).all()


def test_svg(tmp_path: Path) -> None:
    save(draw_table([[Cell(BLUE)]], title="t"), tmp_path / "a.svg")
    assert "<svg" in (tmp_path / "a.svg").read_text()


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="cannot write"):
        save(draw_table([[Cell(BLUE)]], title="t"), tmp_path / "none" / "a.png")


def test_long_names_lose_their_middle() -> None:
    assert fitting("short", 5) == "short"
    assert fitting("n01440764_10026.JPEG", 11) == "n0144….JPEG"
