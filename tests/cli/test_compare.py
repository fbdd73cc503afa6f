"""`compare`: two networks layer by layer, several in one table, and how fast they are here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Cnntrain = Callable[..., Any]
RunFile = Callable[..., Path]

NETWORK = [
    *(
        "name",
        "input_shape",
        "units",
        "parameters",
        "buffers",
        "weight_bytes",
        "multiply_adds",
        "flops",
    ),
    *("head_multiply_adds", "batch", "activation_bytes", "training_bytes", "top1"),
]
SPEEDS = ["training_images_per_second", "inference_images_per_second"]


def test_two_networks_layer_by_layer(cnntrain: Cnntrain, run_file: RunFile) -> None:
    answer = cnntrain("compare", "archs/alexnet", "archs/alexnet_without_7", "--json")
    assert (answer.code, answer.err) == (0, "")
    found = json.loads(answer.out)
    assert list(found) == ["networks", "timed_on", "a", "b", "difference", "ratio", "layers"]
    assert found["difference"]["parameters"] == -(4096 * 4096 + 4096)
    # weights, gradients and momentum of what fc7 had, and its rectifier's output of 16 images
    less = 3 * 4 * (4096 * 4096 + 4096) + 16 * 4 * 4096
    assert -1.1 * less < found["difference"]["training_bytes"] < -less
    assert found["difference"]["top1"] is None
    assert [row["a"]["name"] for row in found["layers"] if row["status"] == "only a"] == ["fc7"]
    answer = cnntrain("compare", run_file(), "archs/digits", "--markdown", "--depth", "1")
    assert answer.code == 0
    assert [line[:7] for line in answer.out.splitlines() if "--:" in line] == ["| :-- |"] * 2


def test_what_is_known_of_two_stands_below_their_layers(cnntrain: Cnntrain) -> None:
    """He et al. 2015, table 6: 8.75 and 7.51 % error."""
    text = cnntrain("compare", "resnet20", "resnet32", "--depth", "1").out
    [line] = [line for line in text.splitlines() if line.startswith("top-1, published")]
    assert line.split()[2:] == ["91.25", "%", "92.49", "%", "+1.24", "points"]
    assert "activations of 16 images in training" in text


def test_several_networks_in_one_table(cnntrain: Cnntrain, run_file: RunFile) -> None:
    """An architecture, one that was copied out, a run file; in the order that was asked for."""
    assert cnntrain("new", "archs/lenet1", "--out", "mine.yaml").code == 0
    names = ["archs/resnet20", "lenet1", "mine.yaml", str(run_file())]
    answer = cnntrain("compare", *names, "--batch", "8", "--json")
    assert (answer.code, answer.err) == (0, "")
    found = json.loads(answer.out)
    assert list(found) == ["networks", "timed_on"]
    assert found["timed_on"] is None
    networks = found["networks"]
    assert [list(each) for each in networks] == [[*NETWORK, "top1_of"]] * 4
    assert [each["name"] for each in networks] == names
    assert {each["batch"] for each in networks} == {8}
    resnet, lenet, mine, tiny = networks
    assert (resnet["parameters"], resnet["multiply_adds"]) == (269_722, 40_551_040)
    assert lenet["parameters"] == mine["parameters"] == 2_578
    # a convolution, its normalisation, and the linear layer after pooling to 4x4
    assert tiny["parameters"] == 4 * 9 + 4 + 2 * 4 + 3 * (4 * 4 * 4 + 1)
    assert [each["top1_of"] for each in networks] == ["CIFAR-10, paper", "MNIST, paper", None, None]
    lines = cnntrain("compare", *names).out.splitlines()
    assert [line.split()[0] for line in lines[2:6]] == names
    assert cnntrain("compare", *names, "--markdown").out.splitlines()[1].startswith("| :-- |")


def test_how_fast_they_are_here(cnntrain: Cnntrain) -> None:
    answer = cnntrain("compare", "lenet300", "lenet1", "lenet5", "--time", "--batch", "2", "--json")
    assert answer.code == 0
    assert answer.err.splitlines() == ["timing lenet300", "timing lenet1", "timing lenet5"]
    found = json.loads(answer.out)
    assert [list(each) for each in found["networks"]] == [[*NETWORK, *SPEEDS, "top1_of"]] * 3
    assert all(each[key] > 0 for each in found["networks"] for key in SPEEDS)
    assert found["timed_on"].startswith("the CPU with ")
    text = cnntrain("compare", "lenet300", "lenet1", "--time", "--batch", "2").out
    assert "images per second, training" in text
    assert "images per second: 2 images at once on the CPU with " in text


def test_what_cannot_be_compared(cnntrain: Cnntrain) -> None:
    for words, said in [
        (["lenet5"], "name more: `cnntrain compare lenet5 OTHER`"),
        (["lenet5", "lenet1", "lenet300", "--depth", "1"], "--depth is for two networks"),
        (["lenet5", "lenet1", "--time", "--batch", "1"], "use --batch 2"),
        (["lenet5", "lenet1", "--json", "--markdown"], "exclude each other"),
        (["archs/alexnet", "archs/alexnot"], "did you mean 'archs/alexnet'"),
    ]:
        answer = cnntrain("compare", *words)
        assert answer.code == 2, words
        assert said in answer.err


def test_representations_of_two_runs(cnntrain: Cnntrain, run_file: RunFile) -> None:
    """Two seeds: each row has its own layer; a run and itself: 1 on the diagonal."""
    for name, seed in (("one", 0), ("two", 1)):
        file = run_file({"train.epochs": 1, "seed": seed}, name=name)
        assert cnntrain("fit", file, "-q", "--out", name).code == 0
    answer = cnntrain("compare", "one", "one", "--layers", "conv*, output", "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert list(found) == [
        *("file", "split", "images", "images_of", "a", "b"),
        *("cka", "cka_unbiased", "rsa", "left_out"),
    ]
    assert [each["name"] for each in found["b"]["layers"]] == ["conv1", "output"]
    for measure in ("cka", "cka_unbiased", "rsa"):
        assert [found[measure][n][n] for n in (0, 1)] == pytest.approx([1, 1])
    with Image.open("representations.png") as picture:
        assert picture.format == "PNG"
    answer = cnntrain("compare", "one", "two", "--representations")
    assert (answer.code, "representations.png already exists" in answer.err) == (2, True)
    words = ("--representations", "--force", "--split", "train", "--images", "20", "--out", "a.svg")
    answer = cnntrain("compare", "one", "two", *words)
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert lines[:2] == ["A: one", "B: two"]
    assert [line.split()[0] for line in lines[3:-1]] == [
        *("conv1", "batch_norm1", "relu1", "max_pool1", "output"),
    ]
    assert lines[-1] == "a.svg"
    assert "on 20 training images of 72 (the data of one)" in answer.err


def test_representations_are_of_two_trained_networks(cnntrain: Cnntrain, run_file: RunFile) -> None:
    assert cnntrain("fit", run_file({"train.epochs": 1}), "-q", "--out", "run").code == 0
    for words, said in [
        (["run", "--representations"], "needs two trained networks, not 1; give two runs"),
        (["run", "lenet5", "--representations"], "lenet5 is a run file without weights"),
        (
            ["archs/lenet5", "run", "--layers", "c1"],
            "archs/lenet5 is an architecture, which has no",
        ),
        (["run", "ru", "--representations"], "there is no ru; did you mean 'run'?"),
        (["run", "run", "--layers", " , "], "--layers names no layer"),
        (["run", "run", "--layers", "convv1"], "did you mean 'conv1'?"),
        (["run", "run", "--layers", "c*", "--batch", "8"], "--batch has no effect with --rep"),
        (["run", "run", "--layers", "c*", "--markdown"], "--markdown has no effect with --rep"),
        (["run", "run", "--images", "20"], "--images has no effect without --representations"),
        (["run", "run", "-s", "data.root=x"], "--set has no effect without --representations"),
        (["run", "run", "--layers", "c*", "-s", "seed=3"], "seed"),
    ]:
        answer = cnntrain("compare", *words)
        assert (answer.code, answer.out) == (2, ""), words
        assert said in answer.err
