"""Writes the image folders of the comparison: drawn from a seed, the same on every machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("blue", "green", "red")
SEED = 10


def write_images(folder: Path) -> None:
    """`photographs` (whole), `broken` (unreadable, doubled, tiny) and `asked` (for `predict`)."""
    source = np.random.default_rng(SEED)
    for split, count in (("train", 30), ("val", 8), ("test", 6)):
        for channel, name in enumerate(CLASSES):
            for number in range(count):
                suffix = (".png", ".jpg", ".bmp")[number % 3]
                _write(folder / "photographs" / split / name / f"{number}{suffix}", source, channel)
    for channel, name in enumerate(CLASSES):
        _write(folder / "asked" / f"{name}.png", source, channel)
        for split in ("train", "val"):
            _write(folder / "broken" / split / name / "0.png", source, channel)
    (folder / "broken" / "train" / "blue" / "1.png").write_bytes(b"not a picture")
    twice = (folder / "broken" / "train" / "red" / "0.png").read_bytes()
    (folder / "broken" / "val" / "red" / "0.png").write_bytes(twice)
    Image.new("RGB", (3, 2)).save(folder / "broken" / "train" / "green" / "tiny.png")
    (folder / "asked" / "words.txt").write_text("no image\n")
    for number in range(3):
        pixels = source.integers(0, 255, (8, 8), dtype=np.uint8)
        (folder / "grey").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / "grey" / f"{number}.png")


def _write(file: Path, source: np.random.Generator, channel: int) -> None:
    height, width = source.integers(30, 48, 2)
    pixels = source.integers(0, 160, (height, width, 3), dtype=np.uint8)
    pixels[..., channel] += 60
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)
