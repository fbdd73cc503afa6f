"""`cnntrain list`: the shipped files, and what a plugin registers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Cnntrain = Callable[..., Any]

CONFIGS = Path(__file__).parents[2] / "configs"


def test_a_run_file_is_listed_with_its_first_line(cnntrain: Cnntrain) -> None:
    for line in cnntrain("list", "configs").out.splitlines():
        name, _, text = line.partition(" ")
        first = (CONFIGS / f"{name}.yaml").read_text("utf-8").splitlines()[0].removeprefix("# ")
        assert text.strip() == first
        assert first.endswith((".", "?"))


def test_architectures_are_listed_to_choose_from(cnntrain: Cnntrain) -> None:
    """25.56 M parameters and 4.1 G multiply-adds are ResNet-50's in torchvision's documentation."""
    answer = cnntrain("list", "archs")
    head, rule, *lines = answer.out.splitlines()
    assert head.split() == [
        *("name", "parameters", "multiply-adds", "images", "classes", "weights", "paper"),
        "network",
    ]
    assert set(rule) == {"-"}
    assert len(lines) == len(list(CONFIGS.glob("archs/*.yaml")))
    [line] = [line for line in lines if line.startswith("archs/resnet50 ")]
    words = "25.6 M 4.1 G 224x224 1000 torchvision He et al. 2015 ResNet-50"
    assert line.split()[1:] == words.split()
    [line] = [line for line in lines if line.startswith("archs/lenet5 ")]
    words = "61.7 k 417 k 28x28 grey 10 LeCun et al. 1998 LeNet-5, modern form"
    assert line.split()[1:] == words.split()
    assert "`cnntrain new NAME`" in answer.err
    [found] = json.loads(cnntrain("list", "archs", "--json").out).values()
    assert found["archs/resnet50"] == {
        "file": str(CONFIGS / "archs" / "resnet50.yaml"),
        "title": "ResNet-50",
        "parameters": 25_557_032,
        "multiply_adds": 4_089_184_256,
        "size": 224,
        "channels": 3,
        "classes": 1000,
        "source": "He et al. 2015",
        "torchvision": "resnet",
    }


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
