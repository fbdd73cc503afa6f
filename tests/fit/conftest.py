"""Every test of this folder trains in a place of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def _apart(own_place: None) -> None:
    """No run folder or setting of one test is seen by another."""


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """12 training and 4 validation images of each of two classes, 10 x 12 pixels."""
    for split, count in (("train", 12), ("val", 4)):
        for number, name in enumerate(("cat", "dog")):
            folder = tmp_path / "images" / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                shade = (40 + 120 * number + 5 * index, 100 + index, 20 * index)
                Image.new("RGB", (12, 10), shade).save(folder / f"{index}.png")
    return tmp_path / "images"
