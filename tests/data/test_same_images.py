"""Images that two splits share, planted by hand."""

from __future__ import annotations

from pathlib import Path

import torch

from cnntrain.data.same_images import doubly_labelled, shared_images
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


def test_two_labels(tmp_path: Path) -> None:
    """Of three equal images one has another label; of two others none has."""
    part = pixels(0, 8)
    part.images[[3, 5]] = part.images[0].clone()
    part.images[6] = part.images[7]
    part.targets[5] = 1
    assert doubly_labelled(part) == [("image 5", "image 0")]
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for path, content in zip(paths, [b"one", b"two", b"one", b"three"], strict=True):
        path.write_bytes(content)
    files = Files(tuple(paths), torch.tensor([0, 0, 1, 1]), 3)
    assert doubly_labelled(files) == [(str(paths[2]), str(paths[0]))]
