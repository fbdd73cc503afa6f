"""The confusion matrix as a picture."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from cnntrain.tasks.confusion_matrix import confusion_figure, draw_confusion


def test_names_of_classes_are_no_formulas(tmp_path: Path) -> None:
    """What stands between dollar signs would be typeset, and this is no formula at all."""
    names = ["_a", "c$\\frac$"]
    [axes, _] = confusion_figure([[3, 1], [0, 2]], classes=names).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == names
    assert not any(label.get_parse_math() for label in axes.get_xticklabels())
    draw_confusion([[3, 1], [0, 2]], classes=names, path=tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.format == "PNG"
