"""CIFAR-10 and CIFAR-100."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from cnntrain.core.errors import DataError
from cnntrain.data import dataset
from cnntrain.data.cache import cached, listing_key
from cnntrain.data.decode import decode, in_threads
from cnntrain.data.left_out import LeftOut
from cnntrain.data.on_disk import (
    class_folders,
    expanded,
    fetch,
    list_images,
    loose_images,
    open_torchvision,
)
from cnntrain.data.splits import Pixels, Splits

CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer",
    "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
_PICTURE = np.dtype((np.uint8, (3, 32, 32)))


@dataset("cifar10", classes=10, channels=3, size=32, validation=False)
def cifar10(*, root: str = "data", download: bool = False) -> Splits:
    """Photographs in ten classes, 32 x 32 RGB: 50,000 and 10,000 (Krizhevsky 2009).

    Image files in class folders are decoded once; the pixels are kept in the user's cache folder.

    Args:
        root: the folder that holds `cifar-10-batches-py`, or else `cifar10/train/airplane/...` and
            `cifar10/test/...` with one image file per picture.
        download: fetch the files with torchvision if they are not there.
    """
    base = expanded(root, key="data.root")
    batches = base / "cifar-10-batches-py"
    folders = [base / "cifar10" / part for part in ("train", "test")]
    if not batches.is_dir() and all(folder.is_dir() for folder in folders):
        (train, others), (test, more) = map(_read_folder, folders)
        left_out = [file._replace(split="train") for file in others]
        left_out += [file._replace(split="test") for file in more]
        return Splits(CIFAR10_CLASSES, train, test=test, left_out=tuple(left_out))
    return _read_batches("CIFAR10", base, [batches, *folders], download=download)


@dataset("cifar100", classes=100, channels=3, size=32, validation=False)
def cifar100(*, root: str = "data", download: bool = False) -> Splits:
    """Photographs in a hundred classes, 32 x 32 RGB: 50,000 and 10,000 (Krizhevsky 2009).

    Args:
        root: the folder that holds `cifar-100-python`.
        download: fetch the files with torchvision if they are not there.
    """
    base = expanded(root, key="data.root")
    return _read_batches("CIFAR100", base, [base / "cifar-100-python"], download=download)


def _read_batches(name: str, root: Path, places: list[Path], *, download: bool) -> Splits:
    """What torchvision reads of the first of the places; it stands in for the others."""
    fetch(name, root, missing=[] if places[0].is_dir() else places, download=download)
    readers = [open_torchvision(name, root, train=is_train) for is_train in (True, False)]
    train, test = (
        Pixels(
            torch.from_numpy(np.ascontiguousarray(reader.data.transpose(0, 3, 1, 2))),
            torch.tensor(reader.targets, dtype=torch.int64),
        )
        for reader in readers
    )
    return Splits(tuple(readers[0].classes), train, test=test)


def _read_folder(split: Path) -> tuple[Pixels, tuple[LeftOut, ...]]:
    folders = class_folders(split)
    if tuple(folders) != CIFAR10_CLASSES:
        raise DataError(
            f"{split} does not hold the ten class folders of CIFAR-10; found: "
            f"{', '.join(folders) or 'none'}",
            remedy=f"name them {', '.join(CIFAR10_CLASSES)}",
        )
    listed = [list_images(paths[0]) for paths in folders.values()]
    others = [file for listing in listed for file in listing.left_out]
    paths = [path for listing in listed for path in listing.images]
    targets = [number for number, listing in enumerate(listed) for _ in listing.images]
    if not paths:
        raise DataError(f"there are no images in {split}", remedy="check `data.root`")
    images = cached(
        f"cifar10/{listing_key(paths)}.npz",
        "images",
        shape=(len(paths), *_PICTURE.shape),
        dtype=np.uint8,
        compute=lambda: np.fromiter(
            in_threads(_decode, paths, what=f"reading {split.name}"), _PICTURE, len(paths)
        ),
    )
    pixels = Pixels(torch.from_numpy(images), torch.tensor(targets, dtype=torch.int64))
    return pixels, (*loose_images(split), *others)


def _decode(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    picture = decode(path, channels=3)
    if picture.size != (32, 32):
        raise DataError(
            f"{path} is {picture.height} x {picture.width}, but CIFAR-10 is 32 x 32",
            remedy="read it with `name: image_folder`",
        )
    return np.asarray(picture).transpose(2, 0, 1)
