"""`cnntrain list`: the shipped files, and what a plugin registers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cnntrain = Callable[..., Any]

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("what", ["configs", "archs"])
def test_a_shipped_file_is_listed_with_a_whole_phrase(cnntrain: Cnntrain, what: str) -> None:
    """Its first line if that is a sentence; of a longer one what comes before the colon."""
    for line in cnntrain("list", what).out.splitlines():
        name, _, text = line.partition(" ")
        first = (CONFIGS / f"{name}.yaml").read_text("utf-8").splitlines()[0].removeprefix("# ")
        assert text.strip().endswith((".", "?")) or f"{first} ".startswith(f"{text.strip()}: ")
        assert what == "archs" or text.strip() == first


PLUGIN = '''
from cnntrain.tasks import loss
from cnntrain.tasks.criterion import MeanLoss


@loss("brier")
def brier() -> MeanLoss:
    """Squared differences."""
'''


def test_of_a_plugin_only_what_it_registers_is_listed(cnntrain: Cnntrain) -> None:
    Path("mine.py").write_text(PLUGIN)
    answer = cnntrain("list", "losses", "--plugin", "mine.py")
    assert answer.out == "brier: Squared differences.\n"
    assert "1 loss of mine.py" in answer.err
    assert "cross_entropy" in cnntrain("list", "losses").out
    answer = cnntrain("list", "losses", "cross_entropy", "--plugin", "mine.py")
    assert "label_smoothing" in answer.out


def test_a_plugin_without_that_kind(cnntrain: Cnntrain) -> None:
    Path("mine.py").write_text(PLUGIN)
    answer = cnntrain("list", "layers", "--plugin", "mine.py")
    assert answer.code == 2
    message = "mine.py registers no layers; `cnntrain list losses --plugin mine.py` shows some"
    assert message in answer.err


def test_pictures_are_listed_with_their_options(cnntrain: Cnntrain) -> None:
    """As `cnntrain visualize cam --help` and `cnntrain retrieve --help` have them."""
    text = cnntrain("list", "pictures", "cam").out
    assert {"--class:", "--image:", "--layer:"} <= set(text.split())
    assert "IMAGE...:" in cnntrain("list", "pictures", "retrieve").out.split()
