"""Features written, searched and classified linearly."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cnntrain.model.images import find_images
from cnntrain.model.opening import open_model

Cnntrain = Callable[..., Any]
RunFile = Callable[..., Path]


@pytest.fixture
def run(cnntrain: Cnntrain, run_file: RunFile) -> Path:
    answer = cnntrain("fit", run_file({"train.epochs": 1}), "-q")
    assert answer.code == 0, answer.err
    return Path(answer.out.strip())


def by_hand(run: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """What max_pool1 gives for the test images, layer after layer, and their classes."""
    trained = open_model(run / "checkpoints" / "best.pt")
    data = find_images(trained, split="test")
    with data.opened() as loader:
        values = torch.cat([batch.images for batch in loader.batches(0)])
    with torch.inference_mode():
        for name in ("conv1", "batch_norm1", "relu1", "max_pool1"):
            values = trained.net.get_submodule(name)(values)
    return values, data.targets


def test_features_in_a_file(cnntrain: Cnntrain, run: Path) -> None:
    answer = cnntrain("features", run)
    assert (answer.code, answer.out) == (0, "features.npz\n")
    assert "input of 'output': 64 features of 30 test images" in answer.err
    expected, targets = by_hand(run)
    with np.load("features.npz") as found:
        np.testing.assert_allclose(found["features"], expected.flatten(1), rtol=1e-5, atol=1e-6)
        assert found["labels"].tolist() == targets.tolist()
        assert found["files"].tolist() == [f"image {number}" for number in range(30)]
        assert found["classes"].tolist() == ["class0", "class1", "class2"]
        assert str(found["layer"]) == "input of 'output'"
    assert "features.npz already exists" in cnntrain("features", run).err


def test_features_in_a_table(cnntrain: Cnntrain, run: Path) -> None:
    answer = cnntrain("features", run, "--layer", "max_pool1", "--pool", "4", "--out", "f.csv",
                      "--json")  # fmt: skip
    facts = {"file": "f.csv", "layer": "max_pool1", "split": "test", "images": 30, "features": 4,
                 "left_out": []}  # fmt: skip
    assert json.loads(answer.out) == facts
    expected, targets = by_hand(run)
    head, *rows = csv.reader(Path("f.csv").read_text().splitlines())
    assert head == ["file", "class", "feature1", "feature2", "feature3", "feature4"]
    assert [row[1] for row in rows] == [f"class{target}" for target in targets.tolist()]
    values = np.array([[float(cell) for cell in row[2:]] for row in rows])
    np.testing.assert_allclose(values, expected.mean(dim=(2, 3)), rtol=1e-5, atol=1e-6)


def test_features_in_a_parquet_file(cnntrain: Cnntrain, run: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    assert cnntrain("features", run, "--out", "f.parquet").code == 0
    expected, targets = by_hand(run)
    table = parquet.read_table("f.parquet")
    assert table.column_names == ["file", "class", "label", "features"]
    assert table["label"].to_pylist() == targets.tolist()
    assert table["class"].to_pylist() == [f"class{target}" for target in targets.tolist()]
    values = np.array(table["features"].to_pylist())
    np.testing.assert_allclose(values, expected.flatten(1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_an_image_is_its_own_nearest(cnntrain: Cnntrain, run: Path, distance: str) -> None:
    answer = cnntrain("retrieve", run, "4", "7", "--split", "test", "--layer", "max_pool1",
                      "--count", "3", "--distance", distance, "--json")  # fmt: skip
    found = json.loads(answer.out)
    assert Path(found["file"]).read_bytes()[:4] == b"\x89PNG"
    values, targets = by_hand(run)
    flat = values.flatten(1).double()
    for query, number in zip(found["queries"], (4, 7), strict=True):
        if distance == "cosine":
            away = 1 - torch.cosine_similarity(flat[number][None], flat)
        else:
            away = (flat - flat[number]).norm(dim=1)
        order = away.argsort()[:3].tolist()
        near = query["neighbours"]
        assert [each["image"] for each in near] == [f"image {index}" for index in order]
        assert [each["class"] for each in near] == [f"class{targets[index]}" for index in order]
        assert near[0]["distance"] == pytest.approx(0, abs=1e-6)
        assert near[2]["distance"] == pytest.approx(float(away[order[2]]), rel=1e-4)


def test_probes(cnntrain: Cnntrain, run: Path) -> None:
    answer = cnntrain("probe", run)
    assert answer.code == 0, answer.err
    rows = [line.split() for line in answer.out.splitlines()]
    assert rows[0][:3] == ["layer", "gives", "features"]
    assert rows[1][1:7] == ["4", "x", "8", "x", "8", "256"]
    names = ["conv1", "batch_norm1", "relu1", "max_pool1", "output"]
    assert [row[0] for row in rows[1:6]] == names
    assert rows[-1] == ["probe.png"]
    found = json.loads(cnntrain("probe", run, "--layer", "relu1", "--force", "--json").out)
    evaluated = json.loads(cnntrain("eval", run, "--json").out)
    assert found["error"] == pytest.approx(evaluated["error"])
    assert f"{found['error']:.2%}" == rows[6][-3]
    sure = 1.96 * math.sqrt(found["error"] * (1 - found["error"]) / evaluated["images"])
    assert rows[6][-2:] == ["±", f"{sure:.1%}"]
    [layer] = found["layers"]
    assert layer["layer"] == "relu1"
    assert f"{layer['error']:.2%}" == rows[3][-3]
    assert layer["features"] == int(rows[3][6]) == 4 * 8 * 8


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("features RUN --out f.txt", "f.txt is no .npz or .csv or .parquet file"),
        ("features RUN --layer conv", "the network has no layer 'conv'; did you mean 'conv1'?"),
        ("retrieve RUN none.png", "none.png is not there"),
        ("retrieve RUN", "Missing argument 'IMAGE...'"),
        ("probe RUN --limit 1", "1 training images of 72 are all of one class; raise --limit"),
        ("probe RUN --split train", "a probe is judged by images that it was not fitted to"),
        ("probe RUN --layer relu9", "the network has no layer 'relu9'; did you mean 'relu1'?"),
    ],
)
def test_wrong_usage(cnntrain: Cnntrain, run: Path, words: str, says: str) -> None:
    answer = cnntrain(*(run if word == "RUN" else word for word in words.split()))
    assert answer.code == 2
    assert says in answer.err
