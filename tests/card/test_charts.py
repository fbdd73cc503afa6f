"""Drawings of the card: where their points are."""

from __future__ import annotations

import re

import pytest

from cnntrain.card.charts import Curve, line_chart, reliability_diagram, shapes_drawing
from cnntrain.tasks.calibration import Bin


def points(drawn: str) -> list[list[tuple[float, float]]]:
    found = re.findall(r'points="([^"]*)"', drawn)
    return [[tuple(map(float, pair.split(","))) for pair in each.split()] for each in found]  # type: ignore[misc]


def test_a_curve_on_linear_axes() -> None:
    """Epoch 0 is at x = 50, the last one at 330; 0 is at y = 178, the largest value at 10."""
    curve = Curve("training", [(1, 1.0), (2, 0.5), (4, 0.25)], "a")
    drawn = line_chart([curve], title="Loss", form=str)
    assert points(drawn) == [[(120.0, 10.0), (190.0, 94.0), (330.0, 136.0)]]
    assert "logarithmic" not in drawn
    assert 'aria-label="Loss over epochs: training ends at 0.25"' in drawn


def test_a_curve_of_more_than_a_decade_is_logarithmic() -> None:
    """From 0.01 (the power of ten below) to 1: each decade takes half of the 168 pixels."""
    drawn = line_chart([Curve("a", [(1, 1.0), (2, 0.1), (3, 0.01)], "a")], title="L", form=str)
    assert [round(y) for _, y in points(drawn)[0]] == [10, 94, 178]
    assert "L, logarithmic" in drawn


@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0], [3.0], [1e-9, 1e-9]])
def test_a_curve_without_a_range_is_drawn(values: list[float]) -> None:
    [found] = points(line_chart([Curve("a", list(enumerate(values, 1)), "a")], title="L", form=str))
    assert len(found) == len(values)
    assert all(10 <= y <= 178 for _, y in found)


def test_long_curves_are_thinned_and_keep_their_end() -> None:
    drawn = line_chart(
        [Curve("a", [(n, float(n)) for n in range(1, 9001)], "a")], title="L", form=str
    )
    assert 250 < len(points(drawn)[0]) <= 400
    assert points(drawn)[0][-1] == (330.0, 10.0)


def test_nothing_is_drawn_of_nothing() -> None:
    assert line_chart([Curve("a", [], "a")], title="L", form=str) == ""


def test_bars_of_a_reliability_diagram() -> None:
    """The plot is 260.4 x 168 from (50, 178) on: the bar has half of the width."""
    bins = (Bin(0.0, 0.5, 0, None, None), Bin(0.5, 1.0, 8, 0.8, 0.75))
    drawn = reliability_diagram(bins, title="R", caption="c")
    [bar] = re.findall(r'<rect class="fa" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"', drawn)
    assert tuple(map(float, bar)) == pytest.approx((181.2, 52.0, 128.2))
    assert "50 % to 100 %: 8 images, 75 % right" in drawn


def test_shapes_are_named() -> None:
    drawn = shapes_drawing([("image", (3, 32, 32)), ("<conv>", (16, 16, 16)), ("out", (10,))])
    assert drawn.count("<rect") == 3
    assert "&lt;conv&gt;" in drawn
    assert "<conv>" not in drawn
