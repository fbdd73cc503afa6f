"""Images with a class, numbers and labels each, in one table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnntrain.show.tables import write_csv

COUNT = 60


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """60 noisy images, 8 x 8, with a bright column `x`, a bright row `y`, and what follows."""
    draws = np.random.default_rng(0)
    rows: list[list[object]] = [
        ["path", "x", "y", "left", "low", "bright", "tags", "class"],
    ]
    (tmp_path / "images").mkdir()
    for number in range(COUNT):
        x, y = draws.integers(8, size=2).tolist()
        bright = int(number % 3 == 0)
        pixels = draws.integers(40, size=(8, 8)) + 80 * bright
        pixels[:, x] += 60
        pixels[y] += 60
        file = f"images/{number}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / file)
        left, low = int(x < 4), int(y > 4)
        named = {"left": left, "low": low, "bright": bright}
        tags = "|".join(name for name, there in named.items() if there)
        rows.append([file, x, 2.5 * y - 4, left, low, bright, tags, "left" if left else "right"])
    path = tmp_path / "table.csv"
    with path.open("w", newline="") as file_:
        write_csv(rows, file_)
    return path


@pytest.fixture
def of_table(table: Path) -> dict[str, object]:
    """Changes of `run_file` that read the table; the task's own come after them."""
    return {
        "data": {
            "name": "csv",
            "file": str(table),
            "channels": 1,
            "split": {"validation": 12, "test": 12},
            "batch_size": 8,
            "transforms": {
                "train": [{"resize": {"size": [8, 8]}}, "normalize"],
                "eval": [{"resize": {"size": [8, 8]}}, "normalize"],
            },
        },
        "arch": {
            "layers": [
                {"conv": {"out": 4, "kernel": 3}},
                "batch_norm",
                "relu",
                "flatten",
                {"linear": {"out": "$num_classes"}, "as": "output"},
            ]
        },
        "train": {"epochs": 3, "optimizer": {"name": "adam", "lr": 0.01}},
        "record": {"tensorboard": True},
    }
