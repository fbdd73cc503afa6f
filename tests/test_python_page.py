"""The page on Python: its code runs from top to bottom, as the cells of a notebook would."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

from cnntrain.core.choices import LOSSES

PAGE = Path(__file__).parent.parent / "docs" / "python.md"
TEXT = PAGE.read_text("utf-8")


class Display:
    """What a notebook shows: `display`, and the handle that it gives."""

    def __init__(self) -> None:
        self.shown: list[Figure] = []

    def __call__(self, figure: Figure, *, display_id: bool = False) -> Display:
        assert display_id
        return self

    def update(self, figure: Figure) -> None:
        self.shown.append(figure)


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All cells run in one place; the names that they have defined."""
    matplotlib.use("Agg")
    names: dict[str, Any] = {"display": Display()}
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("notebook")
        patch.setenv("XDG_CACHE_HOME", str(place / "cache"))
        patch.chdir(place)
        for cell in re.finditer(r"^```python\n(.*?)^```", TEXT, re.M | re.S):
            if cell[1].startswith("%%writefile "):
                magic, _, text = cell[1].partition("\n")
                Path(magic.split()[1]).write_text(text)
                continue
            above = "\n" * TEXT.count("\n", 0, cell.start(1))  # an error is told at the page's line
            exec(compile(above + cell[1], str(PAGE), "exec"), names)
        names["loss"] = LOSSES.load("generalized")
    plt.close("all")
    return names


def test_a_network_and_its_table(notebook: dict[str, Any]) -> None:
    assert notebook["net"].plan.body.out_shape == (5,)
    # conv 9 * 16 + 16, linear 16 * 3 + 3
    assert sum(p.numel() for p in notebook["own"].parameters()) == 211


def test_training(notebook: dict[str, Any]) -> None:
    result = notebook["result"]
    assert [row["epoch"] for row in result.history] == [1, 2]
    assert result.done.best_value < 0.2
    assert result.run is None


def test_the_live_plot_is_drawn_after_each_epoch(notebook: dict[str, Any]) -> None:
    shown = notebook["display"].shown
    assert len(shown) == 3
    assert len(shown[-1].axes[0].lines[0].get_xdata()) == 3


def test_the_model_is_the_one_that_was_trained(notebook: dict[str, Any]) -> None:
    kept, found = notebook["kept"], notebook["found"]
    assert kept.run.parent == Path("runs/digits")
    assert found.metrics.error == kept.done.best_value
    answer, other = notebook["answers"]
    assert answer.label == str(load_digits().target[7])
    assert "was evaluated on 1 x 8 x 8" in other.error


def test_the_doctor_finds_the_rate(notebook: dict[str, Any]) -> None:
    assert [finding.fault for finding in notebook["diagnosis"].findings] == ["diverges"]


def test_the_loss_of_the_page_trains(notebook: dict[str, Any]) -> None:
    robust = notebook["robust"]
    assert robust.model.loaded.train.loss.name == "generalized"
    assert robust.done.best_value < 0.2
    # by hand: p = 1/2 of two equal logits, (1 - 0.5 ** 0.5) / 0.5
    loss = notebook["loss"](q=0.5)(torch.zeros(3, 2), torch.tensor([0, 1, 1]))
    assert float(loss) == pytest.approx((1 - 0.5**0.5) / 0.5)
