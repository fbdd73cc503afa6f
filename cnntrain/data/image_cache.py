"""Decoded images on the disk, made once and shared by runs and processes.

Images are decoded and resized by Pillow, as `resize` does it. What is there is used again by every
run on the same files; a file that has changed, by its size or its time of change, is decoded again.

Whoever adds images holds a lock, which the system releases when its process dies. Pixels are on the
disk before the index names them, so that a process may be killed at any time: what it had not
indexed is overwritten by the next one, which continues there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from cnntrain.core.atomic import write_atomically
from cnntrain.core.cache_folder import cache_folder
from cnntrain.core.errors import DiskError
from cnntrain.core.stderr import say
from cnntrain.core.units import byte_size
from cnntrain.data.decode import decode, header_size, in_threads
from cnntrain.data.path_list import PathList
from cnntrain.data.splits import Files, from_picture
from cnntrain.data.stored_images import (
    INDEX,
    PIXELS,
    Index,
    StoredImages,
    digest,
    read_index,
    shortened,
)
from cnntrain.data.transforms.resize import Resize

_FORMAT = 1
_SAVED_EVERY = 30.0
"""Seconds between two indexes while images are added: what a killed process can lose."""
_SPARE = 1 << 24
"""Bytes that are left free for others: 16 MB."""
_REMEDY = "free some space, set data.cache.folder to another place, or remove data.cache"
_WAIT = 2.0
"""Seconds after which waiting for another process is said."""


@dataclass(frozen=True)
class ImageCache:
    """What is kept of the images.

    Args:
        short_side: to which the shorter side of larger images is resized, in pixels.
        folder: where caches are; None: in the user's cache folder.
    """

    short_side: int
    folder: Path | None = None


def with_cache(part: Files, cache: ImageCache, *, name: str) -> Files:
    """The part with its images decoded in a cache, which is completed first.

    Args:
        part: the split.
        cache: which cache.
        name: of the split, for messages.

    Raises:
        UnreadableImageError: a file cannot be decoded.
        DiskError: the cache cannot be written.
    """
    if not part.paths:
        return part
    here, paths = os.getcwd(), PathList(part.paths)  # noqa: PTH109
    texts = [os.path.join(here, text) for text in paths.texts]  # noqa: PTH118
    folder, keys = _folder(part, cache, texts), _keys(texts, paths)
    index = read_index(folder, channels=part.channels)
    if (index.find(keys) < 0).any():
        with _disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder):
            index = read_index(folder, channels=part.channels)  # another process may have added
            index = _add(part, index, keys, folder=folder, cache=cache, name=name)
    stored = StoredImages(
        folder,
        part.channels,
        cache.short_side,
        index.at(index.find(keys)),
        end=index.end(part.channels),
        file=(folder / PIXELS).stat().st_ino,
    )
    return replace(part, stored=stored)


def _folder(part: Files, cache: ImageCache, texts: Sequence[str]) -> Path:
    """One for all files below a folder that are prepared in the same way."""
    common = os.path.commonpath({os.path.dirname(text) for text in texts})  # noqa: PTH120
    what = repr((_FORMAT, common, cache.short_side, part.channels, part.bits))
    mark = hashlib.sha256(what.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    base = cache.folder or cache_folder() / "images"
    return base / f"{Path(common).name}-{cache.short_side}-{mark}"


def _keys(texts: Sequence[str], paths: PathList) -> NDArray[np.bytes_]:
    """Of each file its path, size and time of change; one that is gone is met in decoding."""
    found = []
    for text, known in zip(texts, paths.facts(), strict=True):
        facts = f"{text}|missing" if known is None else f"{text}|{known[0]}|{known[1]}"
        what = facts.encode("utf-8", "surrogateescape")
        found.append(hashlib.blake2b(what, digest_size=16).hexdigest())
    return np.array(found, "S32")


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        message = f"cannot write the image cache {folder}: {reason}"
        raise DiskError(message, remedy=_REMEDY) from error


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / "lock")
    with _disk_errors(folder):
        try:
            lock.acquire(timeout=_WAIT)
        except Timeout:
            say(f"waiting for another process that adds images to {folder}")
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _add(
    part: Files,
    index: Index,
    keys: NDArray[np.bytes_],
    *,
    folder: Path,
    cache: ImageCache,
    name: str,
) -> Index:
    """The index with the images that were missing, which are decoded now."""
    wanted, first = np.unique(keys, return_index=True)  # a file may be there twice
    missing = [int(at) for at in first[index.find(wanted) < 0]]
    missing.sort()
    if not missing:
        return index
    _announce(part, missing, folder=folder, cache=cache, name=name)

    def prepared(at: int) -> NDArray[np.uint8]:
        picture = decode(part.paths[at], channels=part.channels, bits=part.bits)
        pixels = from_picture(shortened(picture, cache.short_side), channels_last=True)
        return pixels.permute(1, 2, 0).numpy()

    path = folder / PIXELS
    rows: list[tuple[bytes, int, int, int, int]] = []
    saved, end = time.monotonic(), index.end(part.channels)
    with _disk_errors(folder), path.open("r+b" if path.exists() else "x+b") as file:
        file.truncate(end)
        file.seek(end)
        try:
            images = in_threads(prepared, missing, what=f"caching {name}")
            for at, pixels in zip(missing, images, strict=True):
                file.write(pixels.data)
                rows.append((keys[at], end, *pixels.shape[:2], digest(pixels.reshape(-1))))
                end += pixels.size
                if time.monotonic() - saved > _SAVED_EVERY:
                    index, rows, saved = _save(index, rows, file, folder), [], time.monotonic()
        finally:  # what is decoded already is of use, whatever ended it
            if rows:
                index = _save(index, rows, file, folder)
    return index


def _announce(
    part: Files, missing: Sequence[int], *, folder: Path, cache: ImageCache, name: str
) -> None:
    """Say how large it becomes, from the files' headers; DiskError where there is no space."""
    resize, needed = Resize(size=cache.short_side), 0
    paths = [part.paths[at] for at in missing]
    for size in in_threads(header_size, paths, what="measuring images"):
        height, width = size if min(size) <= cache.short_side else resize.output_size(size)
        needed += height * width * part.channels
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE:
        raise DiskError(
            f"no space for the image cache {folder}: {byte_size(needed)} needed, {byte_size(free)} "
            "free",
            remedy=_REMEDY,
        )
    say(
        f"{name}: {len(missing):,} images are decoded once and kept, resized to a shorter side of "
        f"{cache.short_side}: {byte_size(needed)} in {folder}"
    )


def _save(
    index: Index,
    rows: Sequence[tuple[bytes, int, int, int, int]],
    file: BinaryIO,
    folder: Path,
) -> Index:
    """The index with more rows, written after the pixels that it names."""
    file.flush()
    os.fsync(file.fileno())
    kinds = (np.dtype("S32"), *[np.dtype(np.int64)] * 3, np.dtype(np.uint64))
    columns = [
        np.array(column, kind) for column, kind in zip(zip(*rows, strict=True), kinds, strict=True)
    ]
    old = [getattr(index, each.name) for each in fields(index)]
    merged = [np.concatenate(pair) for pair in zip(old, columns, strict=True)]
    order = np.argsort(merged[0], kind="stable")
    index = Index(*(column[order] for column in merged))
    arrays = {each.name: getattr(index, each.name) for each in fields(index)}

    def write(into: BinaryIO) -> None:
        np.savez(into, allow_pickle=False, **arrays)

    needed = sum(array.nbytes for array in arrays.values())
    write_atomically(folder / INDEX, write, needed=needed)
    return index
