"""Tiles and their numbers: each number stands at its own tile."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cnntrain.explain.filters import draw_filters
from cnntrain.explain.maps import draw_maps
from cnntrain.show.image_table import draw_table
from cnntrain.show.tiles import numbered, ruled


def shades(count: int, side: int) -> np.ndarray:
    """Tile k is of the grey k / 1000: it tells which one it is."""
    return np.stack([np.full((side, side, 3), k / 1000, dtype=np.float32) for k in range(count)])


@pytest.mark.parametrize(("count", "side", "columns"), [(10, 5, 4), (7, 64, 7), (150, 1, 15)])
def test_each_number_stands_below_its_tile(count: int, side: int, columns: int) -> None:
    cell, _ = numbered(shades(count, side), columns=columns, title="a title")
    assert [mark.text for mark in cell.marks] == [str(number) for number in range(count)]
    for number, mark in enumerate(cell.marks):
        assert cell.image[int(mark.y) - 8, int(mark.x), 0] == pytest.approx(number / 1000, abs=1e-6)
        assert cell.image[int(mark.y) + 1, int(mark.x), 0] == 1


def test_rows_and_columns_have_their_numbers() -> None:
    cell, _ = ruled(shades(12, 5), columns=4, title="a title")
    rows, columns = cell.marks[:3], cell.marks[3:]
    assert [mark.text for mark in rows] == ["0", "1", "2"]
    assert [mark.text for mark in columns] == ["0", "1", "2", "3"]
    for row, left in enumerate(rows):
        for column, above in enumerate(columns):
            shade = cell.image[int(left.y) + 1, int(above.x) + 1, 0]
            assert shade == pytest.approx((4 * row + column) / 1000)


@pytest.mark.parametrize("shape", [(32, 3, 9, 9), (6, 1, 5, 5), (64, 3, 3, 3), (16, 6, 5, 5)])
def test_filters_are_as_wide_as_their_title(shape: tuple[int, ...]) -> None:
    figure = draw_filters(torch.randn(shape), name="conv1")
    right = max(image.get_extent()[1] for image in figure.axes[0].images)
    assert right > 0.85 * figure.get_size_inches()[0]


@pytest.mark.parametrize("units", [84, 4096])
def test_units_of_a_flat_layer_have_their_numbers(units: int) -> None:
    figure = draw_maps(np.ones((8, 8, 3), np.float32), torch.randn(units), name="fc", label="a")
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert {"0", "60" if units == 84 else "3840"} <= texts  # every fourth row of 64


def test_a_number_for_each_class_is_a_bar_with_its_name() -> None:
    values = torch.tensor([-1.0, 4.0, 2.0])
    names = ["cat", "dog", "a $ b_c $"]
    figure = draw_maps(
        np.ones((8, 8, 3), np.float32), values, name="output", label="a", classes=names
    )
    axes = figure.axes[1]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == names
    assert [bar.get_width() for bar in axes.patches] == values.tolist()


def test_maps_of_classes_have_their_names() -> None:
    cell, side = numbered(shades(2, 8), columns=2, title="t", names=["cat", "dog"])
    figure = draw_table([[cell]], title="t", side=side)
    assert {"cat", "dog"} <= {text.get_text() for text in figure.axes[0].texts}
