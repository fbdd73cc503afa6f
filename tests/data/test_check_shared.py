"""Images that two splits share, planted by hand."""

from __future__ import annotations

from pathlib import Path

import torch

from cnntrain.data.check import shared_images
from cnntrain.data.splits import Files, Pixels


def pixels(seed: int, count: int) -> Pixels:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 3, 4, 4), dtype=torch.uint8, generator=generator)
    return Pixels(images, torch.zeros(count, dtype=torch.int64))


def test_pixels() -> None:
    train, test = pixels(0, 20), pixels(1, 10)
    assert shared_images(train, test) == []
    test.images[3] = train.images[7]
    assert shared_images(train, test) == [("image 7", "image 3")]


def test_files(tmp_path: Path) -> None:
    def files(split: str, contents: list[bytes]) -> Files:
        paths = []
        for number, content in enumerate(contents):
            paths.append(tmp_path / f"{split}{number}.png")
            paths[-1].write_bytes(content)
        return Files(tuple(paths), torch.zeros(len(paths), dtype=torch.int64), 3)

    train = files("train", [b"one", b"two", b"three"])
    assert shared_images(train, files("test", [b"owt", b"twos", b""])) == []
    test = files("test", [b"owt", b"two"])
    assert shared_images(train, test) == [(str(tmp_path / "train1.png"), str(test.paths[1]))]
