"""The user's cache folder: results that can be computed again at any time.

A cache that cannot be written is no error, one that cannot be read is computed again, and a file
appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from cnntrain.core.atomic import write_atomically
from cnntrain.core.cache_folder import cache_folder
from cnntrain.core.errors import DiskError


def listing_key(paths: Iterable[Path], *parts: object) -> str:
    """A name for the content of files: a hash of their paths, sizes and times of change.

    Args:
        paths: the files, in order; one that is gone counts as empty.
        parts: what else the cached result depends on.
    """
    digest = hashlib.sha256(repr(parts).encode())
    for path in paths:
        try:
            status = path.stat()
            facts = f"{path.absolute()}|{status.st_size}|{status.st_mtime_ns}\n"
        except OSError:
            facts = f"{path.absolute()}|missing\n"
        digest.update(facts.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


def cached(
    name: str, key: str, *, shape: tuple[int, ...], dtype: type, compute: Callable[[], NDArray[Any]]
) -> NDArray[Any]:
    """An array of a cached file, or a computed one, which is then kept.

    Args:
        name: of the file, an uncompressed .npz.
        key: of the array in it.
        shape: the array's, -1 for any length; a file that holds none of this shape and type counts
            as absent.
        dtype: the array's.
        compute: makes it.
    """
    path = cache_folder() / name
    # KeyError: another array. The zip's checksums are verified. The file is opened here, because
    # np.load would not close one that it cannot read.
    with suppress(OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            array: NDArray[Any] = found[key]
        if array.dtype == dtype and _fits(array.shape, shape):
            return array
    array = compute()

    def write(file: BinaryIO) -> None:
        np.savez(file, allow_pickle=False, **{key: array})

    with suppress(OSError, DiskError):
        path.parent.mkdir(parents=True, exist_ok=True)
        # other processes may compute the same result and keep it at the same moment
        write_atomically(path, write, needed=array.nbytes, mark=f".{os.getpid()}")
    return array


def _fits(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    pairs = zip(found, wanted, strict=False)
    return len(found) == len(wanted) and all(length in (-1, other) for other, length in pairs)
