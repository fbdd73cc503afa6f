"""Reading decoded images that an image cache holds (`image_cache.py` writes it).

A cache is a folder: `pixels` has the images one after the other, `(H, W, C)` uint8, and only grows;
`index.npz` says where each begins, and is replaced as a whole.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from cnntrain.core.stderr import say
from cnntrain.data.transforms.resize import Resize
from cnntrain.data.windows import cut_picture

PIXELS, INDEX = "pixels", "index.npz"


@dataclass(frozen=True)
class Index:
    """Where images are in `pixels`.

    Args:
        keys: `(N,)` bytes, sorted: 32 hexadecimal digits of a file's path, size and time of change.
        starts: `(N,)` int64, the first byte.
        heights: `(N,)` int64.
        widths: `(N,)` int64.
        digests: `(N,)` uint64, of the pixels.
    """

    keys: NDArray[np.bytes_]
    starts: NDArray[np.int64]
    heights: NDArray[np.int64]
    widths: NDArray[np.int64]
    digests: NDArray[np.uint64]

    @classmethod
    def empty(cls) -> Index:
        """Of no images."""
        none = np.zeros(0, np.int64)
        return cls(np.zeros(0, "S32"), none, none, none, np.zeros(0, np.uint64))

    def find(self, wanted: NDArray[np.bytes_]) -> NDArray[np.int64]:
        """`(M,)` positions of keys; -1 for those that are not there."""
        if len(self.keys) == 0:
            return np.full(len(wanted), -1, np.int64)
        at = np.searchsorted(self.keys, wanted).clip(max=len(self.keys) - 1)
        return np.where(self.keys[at] == wanted, at, -1)

    def at(self, positions: NDArray[np.int64]) -> Index:
        """Those at some positions, in that order."""
        return Index(*(getattr(self, each.name)[positions] for each in fields(self)))

    def end(self, channels: int) -> int:
        """Bytes of `pixels` that have a meaning."""
        return int((self.starts + self.heights * self.widths * channels).max(initial=0))


def read_index(folder: Path, *, channels: int) -> Index:
    """The index of a cache; an empty one where there is none, or it does not fit `pixels`."""
    with suppress(OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        with (folder / INDEX).open("rb") as file, np.load(file, allow_pickle=False) as found:
            index = Index(*(found[each.name] for each in fields(Index)))
        if index.end(channels) <= (folder / PIXELS).stat().st_size:
            return index
    return Index.empty()


@dataclass(frozen=True)
class StoredImages:
    """The decoded images of a part, in its order; can be sent to any process.

    Args:
        folder: of the cache.
        channels: 1 or 3.
        short_side: to which the images were resized.
        index: of these images; the keys are not needed any more.
        end: bytes of `pixels`.
        file: the number that the file system gives to `pixels`; another file is not read.
    """

    folder: Path
    channels: int
    short_side: int
    index: Index
    end: int
    file: int

    def size(self, number: int) -> tuple[int, int]:
        """Height and width of one image."""
        return int(self.index.heights[number]), int(self.index.widths[number])

    def select(self, numbers: Sequence[int]) -> StoredImages:
        """Some of them."""
        return replace(self, index=self.index.at(np.asarray(numbers, np.int64)))

    def pixels(self, number: int) -> NDArray[np.uint8] | None:
        """`(H, W, C)`, which must not be written to; None where they are damaged.

        They are compared with their digest when a process reads them for the first time.
        """
        start, (height, width) = int(self.index.starts[number]), self.size(number)
        every, compared = _mapped(self.folder / PIXELS, self.end, self.file)
        pixels = every[start : start + height * width * self.channels]
        if start not in compared:
            if len(every) == 0 or digest(pixels) != int(self.index.digests[number]):
                _report(self.folder)
                return None
            compared.add(start)
        return pixels.reshape(height, width, self.channels)

    def picture(self, number: int) -> Image.Image | None:
        """The same as a Pillow image."""
        pixels = self.pixels(number)
        if pixels is None:
            return None
        return Image.fromarray(pixels[..., 0] if self.channels == 1 else pixels)


def shortened(picture: Image.Image, short_side: int) -> Image.Image:
    """A picture whose shorter side has at most a length, as `resize` makes it."""
    if min(picture.size) <= short_side:
        return picture
    windows = Resize(size=short_side).windows(
        (picture.height, picture.width), count=1, generator=torch.Generator()
    )
    return cut_picture(picture, windows)


def digest(pixels: NDArray[np.uint8]) -> int:
    """64 bits of a hash of pixels."""
    return int.from_bytes(hashlib.blake2b(pixels.data, digest_size=8).digest(), "little")


@lru_cache(maxsize=16)
def _mapped(path: Path, end: int, number: int) -> tuple[NDArray[np.uint8], set[int]]:
    """The file in memory, once per process, and where images begin that were compared.

    Empty where there is no such file any more.
    """
    with suppress(OSError, ValueError), path.open("rb") as file:
        if os.fstat(file.fileno()).st_ino == number:
            pages = mmap.mmap(file.fileno(), end, access=mmap.ACCESS_READ)
            return np.frombuffer(pages, np.uint8), set()
    return np.zeros(0, np.uint8), set()


@lru_cache
def _report(folder: Path) -> None:
    """Once per process."""
    say(
        f"warning: the image cache {folder} is damaged: those images are decoded from their files. "
        "Delete the folder, and it is made again"
    )
