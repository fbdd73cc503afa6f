"""`summary`: all that it can be given, and what comes out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cnntrain = Callable[..., Any]
RunFile = Callable[..., Path]

TOTALS = [
    "units",
    *("parameters", "buffers", "weight_bytes", "multiply_adds", "flops", "head_multiply_adds"),
    *("batch", "activation_bytes", "frozen_parameters", "coverage"),
]
ROW = [
    *("name", "operation", "kind", "depth", "reads", "out_shape", "parameters", "parameter_share"),
    *("buffers", "multiply_adds", "multiply_add_share", "receptive_field", "stride", "offset"),
    *("first_pixel", "activation_bytes", "learns", "is_leaf"),
]


@pytest.fixture
def run(cnntrain: Cnntrain, run_file: RunFile) -> Path:
    answer = cnntrain("fit", run_file({"train.epochs": 1}), "-q")
    assert answer.code == 0, answer.err
    return Path(answer.out.strip())


def test_json(cnntrain: Cnntrain) -> None:
    answer = cnntrain("summary", "archs/alexnet", "--json", "--batch", "128")
    assert (answer.code, answer.err) == (0, "")
    found = json.loads(answer.out)
    assert list(found) == ["input_shape", "output_shape", *TOTALS, "layers"]
    assert [list(row) for row in found["layers"]] == [ROW] * len(found["layers"])
    assert found["input_shape"] == [3, 227, 227]
    assert found["parameters"] == 62_378_344
    assert found["flops"] == 2 * 1_135_256_096
    # what Krizhevsky et al. call conv1 keeps is its rectifier's output: 96 x 55 x 55 floats
    [relu] = [row for row in found["layers"] if row["name"] == "conv1.relu1"]
    assert relu["activation_bytes"] == 128 * 4 * 96 * 55 * 55


def test_the_picture_of_the_coverage(cnntrain: Cnntrain) -> None:
    answer = cnntrain("summary", "archs/conv_lenet300_v3", "--coverage", "seen.png", "--json")
    assert answer.code == 0, answer.err
    ends = [2, 2, 3, 3, 3, 3]  # of the lecture: see tests/archs/test_shapes.py
    side = [*ends, *[4] * 16, *reversed(ends)]
    found = json.loads(answer.out)["coverage"]
    assert found == [{"layer": "max_pool2", "rows": side, "columns": side}]
    assert Path("seen.png").read_bytes().startswith(b"\x89PNG")
    refused = cnntrain("summary", "archs/lenet300", "--coverage", "seen.png")
    assert (refused.code, "no layer gives maps" in refused.err) == (2, True)
    assert cnntrain("summary", "lenet5", "--coverage", "seen.jpg").code == 2


def test_everything_that_has_a_network(cnntrain: Cnntrain, run: Path, run_file: RunFile) -> None:
    checkpoint = run / "checkpoints" / "last.pt"
    tables = [cnntrain("summary", what) for what in (run_file(), run, run.parent, checkpoint)]
    assert [answer.code for answer in tables] == [0] * 4
    assert len({answer.out for answer in tables}) == 1
    assert "batch_norm1" in tables[0].out
    assert tables[0].out.splitlines()[2].split() == ["input", "1x8x8"]
    shipped = [cnntrain("summary", name).out for name in ("archs/resnet18", "resnet18")]
    assert shipped[0] == shipped[1] != ""


def test_the_images_of_an_architecture_can_be_chosen(cnntrain: Cnntrain, run_file: RunFile) -> None:
    words = ("--size", "64", "--classes", "5", "--channels", "1")
    found = json.loads(cnntrain("summary", "archs/resnet18", *words, "--json").out)
    assert (found["input_shape"], found["output_shape"]) == ([1, 64, 64], [5])
    answer = cnntrain("summary", run_file(), "--size", "64")
    assert answer.code == 2
    assert "--size: a run file's images are those of its `data`" in answer.err
    assert cnntrain("summary", "archs/resnet18", "-s", "train.epochs=3").code == 2


def test_a_guess_is_said(cnntrain: Cnntrain) -> None:
    answer = cnntrain("summary", "starter", "--depth", "1")
    assert answer.code == 0
    assert "10 classes assumed until the images are there" in answer.err


def test_wrong_names_and_options(cnntrain: Cnntrain) -> None:
    answer = cnntrain("summary", "archs/resnet51")
    assert answer.code == 2
    assert "there is no network 'archs/resnet51'; did you mean 'archs/resnet5" in answer.err
    assert cnntrain("summary", "lenet5", "--json", "--markdown").code == 2
    assert cnntrain("summary", "lenet5", "--depth", "0").code == 2
    assert cnntrain("summary", "runs/none/at/all.pt").code == 2
    answer = cnntrain("summary", "lenet5", "--graph", "net.jpg")
    assert answer.code == 2
    assert "end its name in .dot, .mmd, .svg, .png, .pdf" in answer.err
    assert cnntrain("summary", "lenet5", "--graph", "nowhere/net.svg").code == 2


def test_a_graph(cnntrain: Cnntrain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in ("net.dot", "NET.MMD"):
        answer = cnntrain("summary", "archs/googlenet", "--graph", file, "--depth", "1")
        assert answer.code == 0
        assert answer.err == f"picture: {file}\n"
        text = Path(file).read_text("utf-8")
        for name in ("input", "inception4e", "aux2", "local_response_norm2", "fc", "googlenet"):
            assert name in text
    assert Path("net.dot").read_text("utf-8").startswith("digraph {")
    assert "flowchart TB" in Path("NET.MMD").read_text("utf-8")
    monkeypatch.setenv("PATH", str(tmp_path))
    answer = cnntrain("summary", "archs/lenet5", "--graph", "net.svg")
    assert answer.code == 2
    assert "dot, which is not installed" in answer.err
    assert "net.mmd" in answer.err
    assert not Path("net.svg").exists()


def test_markdown(cnntrain: Cnntrain) -> None:
    lines = cnntrain("summary", "archs/lenet5", "--markdown").out.splitlines()
    assert lines[1].startswith("| :-- | :-- | :-- | --: |")
    assert lines[-1].startswith("- memory")


@pytest.mark.parametrize("command", ["summary", "compare"])
def test_rules_for_initial_weights_are_checked(command: str, cnntrain: Cnntrain) -> None:
    """Those of an architecture file too, which no run file names."""
    Path("net.yaml").write_text(
        "layers: [flatten, {linear: {out: 2}}]\n"
        "made_for: {classes: 2, channels: 1, size: 4}\n"
        "init: [{layers: linear, weight: {kaimng: {}}, biass: 0}]\n"
    )
    answer = cnntrain(command, "net.yaml", *(["lenet5"] if command == "compare" else []))
    assert answer.code == 2
    assert "net.yaml:3:" in answer.err
    assert "did you mean 'kaiming'" in answer.err
    assert "did you mean 'bias'" in answer.err


def test_stages_of_pre_training_are_named(cnntrain: Cnntrain) -> None:
    answer = cnntrain("summary", "stacked_denoising_mnist", "--depth", "1")
    assert answer.code == 0
    assert "note: pre-trained in 3 stages, up to code1, code2, code3, each with" in answer.err
