"""The user's cache folder: results that can be computed again at any time.

A cache that cannot be written is no error, one that cannot be read is computed again, and a file
appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from cnntrain.core.atomic import write_atomically
from cnntrain.core.errors import DiskError


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/cnntrain`, or `~/.cache/cnntrain`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "cnntrain"


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


def read_json(name: str) -> dict[str, Any] | None:
    """The cached mapping of that name, or None when there is none that can be read."""
    try:
        found = json.loads((cache_folder() / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write_json(name: str, content: Mapping[str, Any]) -> None:
    """Keep a mapping under that name."""
    text = json.dumps(content).encode()

    def write(file: BinaryIO) -> None:
        file.write(text)

    _keep(name, write, needed=len(text))


def read_arrays(name: str) -> dict[str, NDArray[Any]] | None:
    """The cached arrays of that name; the zip's checksums are verified."""
    try:
        # opened here: np.load would not close a file that it cannot read
        with (cache_folder() / name).open("rb") as file, np.load(file, allow_pickle=False) as found:
            return {key: found[key] for key in found.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def write_arrays(name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Keep arrays under that name, uncompressed."""

    def write(file: BinaryIO) -> None:
        np.savez(file, allow_pickle=False, **arrays)

    _keep(name, write, needed=sum(array.nbytes for array in arrays.values()))


def _keep(name: str, write: Callable[[BinaryIO], None], *, needed: int) -> None:
    """Write a file of the cache as a whole; where that cannot be, go on without it."""
    path = cache_folder() / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # other processes may compute the same result and keep it at the same moment
        write_atomically(path, write, needed=needed, mark=f".{os.getpid()}")
    except (OSError, DiskError):
        return
