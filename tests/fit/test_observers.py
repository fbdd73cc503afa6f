"""What a run tells of itself at its start, and what it advises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cnntrain.assemble.prepare import prepare
from cnntrain.config.load import load
from cnntrain.data.loaders import core_count
from cnntrain.fit.observers import card, data_cure

RunFile = Callable[..., Path]


def test_the_card(run_file: RunFile) -> None:
    rows = dict(card(prepare(load(run_file({"compute.deterministic": True})))))
    # conv 4 * 9 + 4, batch norm 2 * 4, linear 4 * 16 * 3 + 3: 243 parameters;
    # 64 * 36 + 64 * 3 = 2,496 multiply-adds (those of batch norm are not counted)
    assert "243 parameters, 2,496 multiply-adds" in rows["network"]
    assert rows["network"].startswith("1x8x8 -> 3 classes")
    assert rows["data"] == "synthetic: 72 train, 24 validation, 30 test images"
    assert "4 epochs of 5 batches of 16" in rows["training"]
    assert "deterministic" in rows["device"]
    assert "1 threads" not in rows["device"]


def test_advice_for_images_in_memory(run_file: RunFile) -> None:
    assert "data.transforms.train" in data_cure(prepare(load(run_file())))
    slow = run_file({"data.transforms": {"train": ["rand_augment", "normalize"]}})
    assert data_cure(prepare(load(slow))).startswith("rand_augment is slow; with data.memory: str")


@pytest.mark.parametrize("workers", [0, core_count()])
def test_advice_for_images_that_are_streamed(
    run_file: RunFile, tmp_path: Path, workers: int
) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "images" / "train" / name).mkdir(parents=True)
        for index in range(4):
            pixel = (index * 20, index * 30, 9 + 5 * index)
            file = tmp_path / "images" / "train" / name / f"{index}.png"
            Image.new("RGB", (8, 8), pixel).save(file)
    data: dict[str, Any] = {
        "name": "image_folder",
        "root": "images",
        "batch_size": 4,
        "memory": "stream",
        "workers": workers,
        "transforms": {
            split: [{"resize": {"size": [8, 8]}}, "normalize"] for split in ("train", "eval")
        },
    }
    advice = data_cure(prepare(load(run_file({"data": data}))))
    assert "data.memory: resident, now stream" in advice
    raised = f"raise data.workers (now 0; there are {core_count()} cores)" in advice
    assert raised == (workers == 0)
