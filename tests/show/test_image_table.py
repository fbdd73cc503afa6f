"""Pictures of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from cnntrain.core.errors import DiskError
from cnntrain.show.image_table import DPI, Cell, Scale, columns_for, draw_table, save, width_of
from cnntrain.show.words import shortened

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


def test_letters_without_a_font_are_boxes(tmp_path: Path) -> None:
    save(draw_table([[Cell(BLUE, "蚂蚁 ants")]], title="蚂蚁"), tmp_path / "a.png")
    assert (tmp_path / "a.png").is_file()


def test_bytes_that_are_no_text_are_written_out(tmp_path: Path) -> None:
    assert width_of("\udcff") == pytest.approx(width_of("\\udcff"))
    save(
        draw_table([[Cell(BLUE, "a \udcff")]], title="\udcff", labels=["\udcff"]),
        tmp_path / "a.png",
    )
    assert (tmp_path / "a.png").is_file()


def test_svg(tmp_path: Path) -> None:
    save(draw_table([[Cell(BLUE)]], title="t"), tmp_path / "a.svg")
    assert "<svg" in (tmp_path / "a.svg").read_text()


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="cannot write"):
        save(draw_table([[Cell(BLUE)]], title="t"), tmp_path / "none" / "a.png")


def test_long_names_lose_their_middle() -> None:
    name = "n01440764_10026.JPEG"
    assert shortened(name, 2.0, measure=width_of) == name
    cut = shortened(name, 0.6, measure=width_of)
    start, _, end = cut.partition("…")
    assert len(start) - len(end) in (0, 1)
    assert (name.startswith(start), name.endswith(end)) == (True, True)
    assert 3 < len(cut) < len(name)
    assert shortened(name, 0.0, measure=width_of) == "…"


@pytest.mark.parametrize("letter", ["i", "m", "W", "_", "$"])
def test_texts_neither_overlap_nor_leave_the_picture(letter: str) -> None:
    """As matplotlib lays them out: wide letters, narrow ones, and one that begins a formula."""
    caption = f"{letter * 50}.jpeg"
    rows = [[Cell(BLUE, f"{caption}\n{caption}")] * 3] * 2
    figure = draw_table(
        rows, title=letter * 40, headings=["", "", letter * 30], labels=[letter * 9] * 2, side=0.8
    )
    figure.set_dpi(DPI)
    FigureCanvasAgg(figure).draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text()]
    assert len(boxes) == 6 + 2 + 2
    width, height = figure.get_size_inches() * figure.dpi
    for number, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert (box.x1, box.y1) <= (width, height)
        assert not any(box.overlaps(other) for other in boxes[:number])


@pytest.mark.parametrize("count", range(1, 201))
def test_a_grid_is_about_as_wide_as_asked_and_full_if_it_can_be(count: int) -> None:
    columns = columns_for(count, most=8)
    rows = -(-count // columns)
    assert columns <= 8
    if count <= 40:  # more have 8 columns at the most, and rows as they come
        assert 0.7 <= columns / (1.6 * count) ** 0.5 <= 1.4
    if any(count % each == 0 for each in range(columns, 9)):
        assert rows * columns - count < columns / 2


def test_twenty_four_fill_their_grid() -> None:
    assert columns_for(24) == 6
