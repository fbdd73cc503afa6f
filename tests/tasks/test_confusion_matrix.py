"""The confusion matrix as a picture."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from cnntrain.tasks.confusion_matrix import confusion_figure, draw_confusion


def test_names_of_classes_are_no_formulas(tmp_path: Path) -> None:
    """What stands between dollar signs would be typeset, and this is no formula at all."""
    names = ["_a", "c$\\frac$"]
    [axes, _] = confusion_figure(torch.tensor([[3, 1], [0, 2]]), classes=names).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == names
    assert not any(label.get_parse_math() for label in axes.get_xticklabels())
    draw_confusion(torch.tensor([[3, 1], [0, 2]]), classes=names, path=tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.format == "PNG"


@pytest.mark.parametrize(
    ("confusion", "worst"), [([[9, 1], [0, 10]], 0.1), ([[0, 1], [0, 10]], 1.0)]
)
def test_the_colour_bar_ends_at_the_largest_share_of_mistakes(
    confusion: list[list[int]], worst: float
) -> None:
    [_, bar] = confusion_figure(torch.tensor(confusion), classes="ab").axes
    assert bar.get_ylim() == (0.0, pytest.approx(worst))


def test_without_mistakes_there_is_no_colour_bar() -> None:
    assert len(confusion_figure(torch.tensor([[9, 0], [0, 10]]), classes="ab").axes) == 1
