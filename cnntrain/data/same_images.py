"""Images that are there twice: equal pixels in memory, or equal files."""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b

import torch

from cnntrain.data.splits import Files, Part, Pixels
from cnntrain.data.windows import HeightWidth

MOST = 2000
"""Files of a split that are compared with others; of more, so many."""


def shared_images(first: Part, second: Part) -> list[tuple[str, str]]:
    """What the images of `second` that `first` has too are called, there and here.

    Quick enough to be looked for in passing: files are compared byte by byte, and at most `MOST`
    of `second`, where `check_data` decodes them and finds every equal picture. Files that cannot
    be read are passed over: they are reported where they are needed.
    """
    if isinstance(first, Pixels) and isinstance(second, Pixels):
        ours, theirs = (dict(enumerate(pixel_hashes(part))) for part in (first, second))
    elif isinstance(first, Files) and isinstance(second, Files):
        second = second.select(torch.arange(0, len(second), -(-len(second) // MOST)))
        lengths = _lengths(first), _lengths(second)
        # only files of one length can be the same
        common = set(lengths[0].values()) & set(lengths[1].values())
        ours, theirs = (
            _file_hashes(part, [index for index, length in each.items() if length in common])
            for part, each in zip((first, second), lengths, strict=True)
        )
    else:
        return []
    known = {digest: index for index, digest in ours.items()}
    return [
        (first.label(known[digest]), second.label(index))
        for index, digest in theirs.items()
        if digest in known
    ]


def doubly_labelled(part: Part) -> list[tuple[str, str]]:
    """Images that are there again with another label: their names, and those of the first ones.

    As quick as `shared_images`: files are compared byte by byte, and at most `MOST` of them.
    """
    if isinstance(part, Pixels):
        found = dict(enumerate(pixel_hashes(part)))
    elif isinstance(part, Files):
        lengths = _lengths(part)
        times = Counter(lengths.values())
        of_one_length = sorted((length, i) for i, length in lengths.items() if times[length] > 1)
        found = _file_hashes(part, [index for _, index in of_one_length[:MOST]])
    else:
        return []
    first: dict[bytes, int] = {}
    again = []
    for index, digest in found.items():
        before = first.setdefault(digest, index)
        if part.targets[before] != part.targets[index]:
            again.append((part.label(index), part.label(before)))
    return again


def _hash(content: bytes, size: HeightWidth | None = None) -> bytes:
    """Of a file's bytes, or of pixels together with their height and width."""
    return blake2b(content, digest_size=16, salt=salt_of(size)).digest()


def salt_of(size: HeightWidth | None) -> bytes:
    """The size, so that the same bytes of another one are other pixels."""
    return repr(size).encode()[:16]


def pixel_hashes(part: Pixels) -> Iterator[bytes]:
    """Of each image."""
    for row in part.images.reshape(len(part), -1).numpy():
        yield _hash(row.tobytes(), part.size)


def _lengths(part: Files) -> dict[int, int]:
    """Bytes of each file, by its position."""
    found = {}
    for index, path in enumerate(part.paths):
        with suppress(OSError):
            status = path.stat()
            if stat.S_ISREG(status.st_mode):  # reading a pipe would wait for ever
                found[index] = status.st_size
    return found


def _file_hashes(part: Files, positions: Sequence[int]) -> dict[int, bytes]:
    found = {}
    for index in positions:
        with suppress(OSError):
            found[index] = _hash(part.paths[index].read_bytes())
    return found
