"""The same image in two splits, told from bytes alone: quick enough to be looked for in passing.

Files are compared byte by byte; `cnntrain data check` decodes them and finds every equal picture.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator

import torch

from cnntrain.data.splits import Files, Part, Pixels
from cnntrain.data.windows import HeightWidth

MOST = 2000
"""Files that are looked for; of more, so many at even distances."""


def shared_images(first: Part, second: Part) -> list[tuple[str, str]]:
    """What the images of `second` that `first` has too are called, there and here.

    Files that cannot be read are passed over: they are told where they are needed.
    """
    if isinstance(first, Pixels) and isinstance(second, Pixels):
        keys, others = dict(_pixels(first)), list(_pixels(second))
    elif isinstance(first, Files) and isinstance(second, Files):
        second = second.select(torch.arange(0, len(second), -(-len(second) // MOST)))
        sizes = {size for _, size in _sizes(first)} & {size for _, size in _sizes(second)}
        keys, others = dict(_files(first, sizes)), list(_files(second, sizes))
    else:
        return []
    return [(first.label(keys[key]), second.label(i)) for key, i in others if key in keys]


def fingerprint(content: bytes, size: HeightWidth | None = None) -> bytes:
    """A hash of an image's bytes; of pixels together with their height and width."""
    return hashlib.blake2b(content, digest_size=16, salt=repr(size).encode()[:16]).digest()


def pixel_fingerprints(part: Pixels) -> Iterator[bytes]:
    """That of each image."""
    for row in part.images.reshape(len(part), -1).numpy():
        yield fingerprint(row.tobytes(), part.size)


def _pixels(part: Pixels) -> Iterator[tuple[bytes, int]]:
    return ((key, index) for index, key in enumerate(pixel_fingerprints(part)))


def _files(part: Files, sizes: set[int]) -> Iterator[tuple[bytes, int]]:
    """Only files of these sizes can be the same as another one."""
    found: dict[int, list[int]] = defaultdict(list)
    for index, size in _sizes(part):
        found[size].append(index)
    for size in sizes & found.keys():
        for index in found[size]:
            try:
                yield fingerprint(part.paths[index].read_bytes()), index
            except OSError:
                continue


def _sizes(part: Files) -> Iterator[tuple[int, int]]:
    for index, path in enumerate(part.paths):
        try:
            yield index, path.stat().st_size
        except OSError:
            continue
