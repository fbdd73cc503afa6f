"""MNIST and the sets that are stored as MNIST is."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cnntrain.core.errors import DataError
from cnntrain.data import dataset
from cnntrain.data.on_disk import expanded, fetch
from cnntrain.data.splits import Pixels, Splits

_PARTS = ("train", "t10k")
_GARMENTS = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


@dataset("mnist", classes=10, channels=1, size=28, validation=False)
def mnist(*, root: str = "data", download: bool = False) -> Splits:
    """Handwritten digits, 28 x 28: 60,000 for training, 10,000 for testing (LeCun et al. 1998).

    Args:
        root: the folder that holds `MNIST/raw/train-images-idx3-ubyte` and so on (plain or `.gz`).
        download: fetch the files with torchvision if they are not there.
    """
    classes = tuple(str(name) for name in range(10))
    return _read(expanded(root, key="data.root"), "MNIST", classes=classes, download=download)


@dataset("fashion_mnist", classes=10, channels=1, size=28, validation=False)
def fashion_mnist(*, root: str = "data", download: bool = False) -> Splits:
    """Clothes in ten classes, 28 x 28: 60,000 and 10,000 (Xiao, Rasul and Vollgraf 2017).

    Args:
        root: the folder that holds `FashionMNIST/raw/train-images-idx3-ubyte` and so on.
        download: fetch the files with torchvision if they are not there.
    """
    return _read(
        expanded(root, key="data.root"), "FashionMNIST", classes=_GARMENTS, download=download
    )


def _read(root: Path, folder: str, *, classes: tuple[str, ...], download: bool) -> Splits:
    raw = root / folder / "raw"
    wanted = [raw / f"{part}-{kind}" for part in _PARTS
              for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")]  # fmt: skip
    missing = [path for path in wanted if not _find(path)]
    fetch(folder, root, missing=missing, download=download)
    train, test = (_read_part(raw, part, folder) for part in _PARTS)
    return Splits(classes, train, test=test)


def _find(path: Path) -> Path | None:
    for candidate in (path, path.with_name(path.name + ".gz")):
        if candidate.is_file():
            return candidate
    return None


def _read_part(raw: Path, part: str, name: str) -> Pixels:
    images = read_idx(_find(raw / f"{part}-images-idx3-ubyte") or raw, dimensions=3)
    labels = read_idx(_find(raw / f"{part}-labels-idx1-ubyte") or raw, dimensions=1)
    if len(images) != len(labels) or int(labels.max()) > 9:
        raise DataError(
            f"{name}: {len(images)} images and {len(labels)} labels in {raw} do not fit together",
            remedy="delete the folder and fetch it again with `data.download: true`",
        )
    return Pixels(images[:, None], labels.to(torch.int64))


def read_idx(path: Path, *, dimensions: int) -> Tensor:
    """A file in the IDX format with unsigned bytes (described on LeCun's MNIST page).

    torchvision has the same reader; importing torchvision takes longer than an epoch of MNIST.

    Raises:
        DataError: the file is damaged.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, str(error)) from error
    start = 4 + 4 * dimensions
    if content[:4] != bytes([0, 0, 8, dimensions]) or len(content) < start:
        raise _damaged(path, "it does not begin as an IDX file of bytes does")
    shape = tuple(int(n) for n in np.frombuffer(content, dtype=">u4", count=dimensions, offset=4))
    if len(content) - start != math.prod(shape) or 0 in shape:
        raise _damaged(path, f"it should hold {math.prod(shape)} bytes of data, "
                             f"it holds {len(content) - start}")  # fmt: skip
    data = np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)
    return torch.from_numpy(data.copy())


def _damaged(path: Path, reason: str) -> DataError:
    remedy = "delete the file and fetch it again with `data.download: true`"
    return DataError(f"cannot read {path}: {reason}", remedy=remedy)
