"""Two networks on the same images: what is read of them, and whose images these are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cnntrain.core.errors import UsageError
from cnntrain.explain import representations
from cnntrain.explain.representations import compare_representations, represent, two_sides
from cnntrain.explain.similarity_map import draw_similarities, similarities_table
from cnntrain.model.images import find_images
from cnntrain.model.model import Model
from cnntrain.model.opening import open_model
from cnntrain.model.taps import bounded

Train = Callable[..., Model]


@pytest.fixture
def train(own_place: None, run_file: Callable[..., Path], train_tiny: Callable[..., Any]) -> Train:
    def fit(name: str, changes: dict[str, Any] | None = None) -> Model:
        file = run_file({"train.epochs": 1, **(changes or {})}, name=name)
        return open_model(train_tiny(file, out=Path(name)).run.path)

    return fit


def test_products_do_not_depend_on_blocks(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    """The features that `Model.features` has of the 30 test images, multiplied in one go."""
    model = train("one")
    layers = ["conv1", "relu1", "output"]
    numbers = 4 * 8 * 8 * 2 + 3
    monkeypatch.setattr(representations, "BLOCK", 4 * numbers * 7)  # 5 blocks, the last of 2
    found = represent(find_images(model), layers)
    monkeypatch.setattr(representations, "FEATURES", 50)
    pooled = represent(find_images(model), layers)
    for name in layers:
        values = model.features(name).values
        for result, expected in (
            (found, values),
            (pooled, bounded(values.view(30, 4, 8, 8), 50) if name != "output" else values),
        ):
            x = expected.double()
            torch.testing.assert_close(result[name].inner, x @ x.T, rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(result[name].means, x.mean(dim=1), rtol=1e-5, atol=1e-6)
            assert result[name].width == x.shape[1]
    assert pooled["conv1"].width == 4 * 3 * 3


def test_a_network_is_like_itself(train: Train) -> None:
    model = train("one")
    made = compare_representations(two_sides((model, model), names=("a", "b")))
    names = [each["name"] for each in made.facts["a"]["layers"]]
    assert names == ["conv1", "batch_norm1", "relu1", "max_pool1", "output"]
    for measure in ("cka", "cka_unbiased", "rsa"):
        values = torch.tensor(made.facts[measure], dtype=torch.float64)
        torch.testing.assert_close(values.diagonal(), torch.ones(5, dtype=torch.float64))
    assert made.facts["cka"][0][4] < 0.99
    assert "the most alike layer (by CKA) is the one of the same name for 5 of 5 layers" in (
        made.text
    )
    assert made.text.endswith("on 30 test images (the data of a)")


def test_both_see_the_images_of_the_first(train: Train) -> None:
    """Grey images are RGB ones with three equal channels to a network that reads these."""
    first = train("one", {"data.transforms": {"train": [], "eval": []}})
    other = {"data.transforms": {"train": [], "eval": []}, "data.channels": 3, "data.classes": 2}
    second = train("two", other)
    sides = two_sides((first, second), names=("one", "two"), patterns=["conv*", "output"])
    made = compare_representations(sides, limit=20)
    assert made.facts["images"] == 20
    assert "the runs' data differ: both networks are shown the images of one" in made.text
    data = find_images(first, limit=20)
    images = data.at(range(20)).expand(-1, 3, -1, -1)
    conv = second.net.get_submodule("conv1")(images).flatten(1).double()
    own = first.net.get_submodule("conv1")(data.at(range(20))).flatten(1).double()
    a, b = (each - each.mean(dim=0) for each in (own, conv))
    expected = (a.T @ b).norm() ** 2 / ((a.T @ a).norm() * (b.T @ b).norm())
    assert made.facts["cka"][0][0] == pytest.approx(float(expected), abs=1e-6)
    larger = train("larger", {"data.size": 10})
    with pytest.raises(UsageError, match="images are 1 x 8 x 8 after the transforms of larger"):
        compare_representations(two_sides((first, larger), names=("one", "larger")))


def test_which_layers(train: Train) -> None:
    model = train("one")
    nested = {"layers": [{"residual": {"body": ["relu"]}, "as": "block"}, "flatten",
                         {"linear": {"out": "$num_classes"}, "as": "output"}]}  # fmt: skip
    other = train("two", {"arch": nested})

    def names(*patterns: str) -> list[tuple[str, ...]]:
        sides = two_sides((model, other), names=("one", "two"), patterns=patterns)
        return [side.layers for side in sides]

    assert names("out*", "conv1") == [("conv1", "output"), ("output",)]
    assert names("b*", "output") == [("batch_norm1", "output"), ("block", "output")]
    assert names("relu1", "*.*.*") == [("relu1",), ("block.body.relu1",)]
    with pytest.raises(UsageError, match="neither network has a layer 'outpt'") as refused:
        names("outpt", "conv1")
    assert "did you mean 'output'?" in str(refused.value)
    with pytest.raises(UsageError, match=r"two has no layer 'conv\*'"):
        names("conv*")


def test_too_few_and_too_many(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    model = train("one")
    sides = two_sides((model, model), names=("a", "b"))
    with pytest.raises(UsageError, match="3 test images of 30 are too few"):
        compare_representations(sides, limit=3)
    monkeypatch.setattr(representations, "MEMORY", 30 * 30 * (8 * 10 + 4 * 5 + 32) - 1)
    with pytest.raises(UsageError, match="5 x 5 layers and 30 images take up to"):
        compare_representations(sides)


def test_layers_without_an_answer_are_said(train: Train) -> None:
    """A network whose convolution is 0 gives the same for every image from there on."""
    model, dead = train("one"), train("two")
    weights = dead.net.get_parameter("conv1.weight"), dead.net.get_parameter("conv1.bias")
    for weight in weights:
        weight.data.zero_()
    made = compare_representations(two_sides((model, dead), names=("one", "two")))
    assert "two: conv1, batch_norm1, relu1 and 2 more: the same for all images" in made.text
    assert "two: conv1: the same number everywhere for some images, so RSA" in made.text
    assert all(value != value for value in made.facts["cka"][0])
    [dead_layer] = [each for each in made.facts["b"]["layers"] if each["name"] == "conv1"]
    assert (dead_layer["constant"], dead_layer["flat_images"]) == (True, 30)


def test_heat_maps_and_table() -> None:
    values = torch.tensor([[0.9, 0.25, 0.5], [0.1, torch.nan, 0.3]], dtype=torch.float64)
    found = {"cka": values, "cka_unbiased": values - 0.1, "rsa": values / 2}
    how: dict[str, Any] = {"names": ("a", "$b$"), "layers": (["x", "y"], ["z", "y", "x"])}
    figure = draw_similarities(found, **how, title="t")
    left, right, _ = figure.axes
    assert [text.get_text() for text in left.texts] == [".90", ".25", ".50", ".10", ".30"]
    assert [each.get_text() for each in right.get_xticklabels()] == ["z", "y", "x"]
    assert left.get_ylabel() == "A: a"
    figure.canvas.draw()  # a name with dollar signs is not a formula
    lines = similarities_table(found, **how).splitlines()
    assert [line.split() for line in lines[-2:]] == [
        ["x", "z", "0.900", "0.800", "0.450", "0.500", "0.250"],
        ["y", "x", "0.300", "0.200", "0.150", "-", "-"],
    ]
