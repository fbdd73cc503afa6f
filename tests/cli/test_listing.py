"""`cnntrain list`: the shipped files, and what a plugin registers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnntrain.assemble.transfer.torchvision_weights import known_models

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
        "weights": "torchvision_resnet",
        "top1": None,
        "test_set": "",
    }


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of torchvision's weights, with one file in it."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "efficientnet_b1-c27df63c.pth").touch()
    return folder


def test_weights_are_listed_with_what_is_known_of_them(cnntrain: Cnntrain, published: Path) -> None:
    """torchvision's own numbers: `EfficientNet_B1_Weights`, `RegNet_Y_16GF_Weights`."""
    answer = cnntrain("list", "weights", "efficientnet_b1")
    head, _, *rows = [line.split() for line in answer.out.splitlines()]
    assert " ".join(head) == "name parameters file top-1 top-5 input licence architecture here"
    about = "7.8 M 31.6 MB {} % {} % 240 - archs/efficientnet_b1 {}"
    assert [" ".join(row) for row in rows] == [
        "efficientnet_b1/IMAGENET1K_V1 " + about.format("78.64", "94.19", "-"),
        "efficientnet_b1/IMAGENET1K_V2 " + about.format("79.84", "94.93", "yes"),
    ]
    assert "2 sets of torchvision's weights" in answer.err
    assert "licence -: torchvision states none" in answer.err
    assert "architecture -" not in answer.err
    assert "see docs/transfer.md" in cnntrain("list", "weights", "convnext_large").err
    answer = cnntrain("list", "weights", "regnet_y_16gf/IMAGENET1K_SWAG_E2E", "--json")
    [swag] = json.loads(answer.out)["weights"]
    assert (swag["licence"], swag["input_size"], swag["arch"]) == ("CC-BY-NC 4.0", 384, None)
    assert (swag["top1"], swag["top5"], swag["is_here"]) == (0.86012, 0.98054, False)
    assert Path(swag["file"]) == published / "regnet_y_16gf_swag-43afe44d.pth"


def test_all_weights_that_can_be_loaded_are_listed(cnntrain: Cnntrain, published: Path) -> None:
    rows = json.loads(cnntrain("list", "weights", "--json").out)["weights"]
    names = [row["name"].split("/")[0] for row in rows]
    assert list(dict.fromkeys(names)) == known_models()
    nowhere = {row["name"] for row in rows if row["top1"] is None}
    assert nowhere == {"vgg16/IMAGENET1K_FEATURES"}  # no classifier


def test_weights_that_are_not_listed(cnntrain: Cnntrain) -> None:
    answer = cnntrain("list", "weights", "renset50")
    assert answer.code == 2
    assert "begin with 'renset50' can be loaded; did you mean 'resnet50'?" in answer.err
    answer = cnntrain("list", "weights", "--plugin", "mine.py")
    assert (answer.code, "`list weights` takes no plugin" in answer.err) == (2, True)


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
