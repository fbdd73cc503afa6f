"""The user's cache folder: results that can be computed again at any time.

A cache that cannot be written is no error, one that cannot be read is computed again, and a file
appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
    with _Replacement(name) as path:
        if path is not None:
            path.write_text(json.dumps(content), encoding="utf-8")


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
    with _Replacement(name) as path:
        if path is not None:
            with path.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)


class _Replacement:
    """A temporary file that takes the final name when it was written without an error."""

    def __init__(self, name: str) -> None:
        self._target = cache_folder() / name
        self._temporary: Path | None = None

    def __enter__(self) -> Path | None:
        try:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            handle, path = tempfile.mkstemp(dir=self._target.parent, prefix=".writing-")
        except OSError:
            return None
        os.close(handle)
        self._temporary = Path(path)
        return self._temporary

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        if self._temporary is None:
            return False
        if kind is None:
            try:
                self._temporary.replace(self._target)
            except OSError:
                self._temporary.unlink(missing_ok=True)
            return False
        self._temporary.unlink(missing_ok=True)
        return issubclass(kind, OSError)  # a full disk: go on without the cache
