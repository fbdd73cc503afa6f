"""What lies on the disk: class folders, image files, sets of torchvision's. Imports no torch."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnntrain.core.errors import DataError
from cnntrain.data.decode import SUFFIXES

_NOT_CLASSES = frozenset({"__MACOSX", "__pycache__", "@eaDir", "lost+found"})


@dataclass(frozen=True)
class Listing:
    """The files below one class folder.

    Args:
        images: files with a known suffix, sorted by path.
        ignored: other files.
        repeated: linked folders that were not entered again (loops).
    """

    images: tuple[Path, ...]
    ignored: tuple[Path, ...]
    repeated: tuple[Path, ...]


def class_folders(split: Path) -> dict[str, Path]:
    """Class names (Unicode NFC) and their folders, sorted by name as torchvision sorts them.

    Hidden folders (`.ipynb_checkpoints`) and operating systems' own (`__MACOSX`) are no classes.

    Raises:
        DataError: `split` is no folder, or cannot be read.
    """
    try:
        with os.scandir(split) as entries:
            folders = [e.name for e in entries if e.is_dir() and not _is_foreign(e.name)]
    except OSError as error:
        raise DataError(
            f"cannot read the folder {split}: {error.strerror}", remedy="check `data.root`"
        ) from error
    # A file system may hand out decomposed names (macOS): the same name must mean the same class.
    named = {unicodedata.normalize("NFC", name): split / name for name in folders}
    return {name: named[name] for name in sorted(named)}


def list_images(folder: Path) -> Listing:
    """All images below a class folder, at any depth.

    Hidden files, macOS's `._*` files among them, are passed over without mention.
    """
    images: list[Path] = []
    ignored: list[Path] = []
    repeated: list[Path] = []
    for path in _files(folder, {os.path.realpath(folder)}, repeated):
        (images if path.suffix.lower() in SUFFIXES else ignored).append(path)
    return Listing(tuple(sorted(images)), tuple(sorted(ignored)), tuple(sorted(repeated)))


def _is_foreign(name: str) -> bool:
    return name.startswith(".") or name in _NOT_CLASSES


def _files(folder: Path, entered: set[str], repeated: list[Path]) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        if _is_foreign(entry.name):
            continue
        path = folder / entry.name
        if not entry.is_dir():
            yield path
            continue
        real = os.path.realpath(path)
        if real in entered:
            repeated.append(path)
            continue
        entered.add(real)
        yield from _files(path, entered, repeated)


def fetch(name: str, root: Path, *, missing: Sequence[Path], download: bool) -> None:
    """Have torchvision fetch a data set, where files are missing and that is wanted.

    Raises:
        DataError: files are missing and not to be fetched, or the download failed.
    """
    if missing and not download:
        looked = ", ".join(str(place.absolute()) for place in missing)
        raise DataError(
            f"the files of {name} are not there; looked for {looked}",
            remedy="set `data.root` to the folder that holds them, or `data.download: true`",
        )
    if missing:
        open_torchvision(name, root, train=True, download=True)


def open_torchvision(name: str, root: Path, *, train: bool, download: bool = False) -> Any:
    """A torchvision data set; its checksums are verified.

    Raises:
        DataError: files are missing or damaged, or the download failed.
    """
    # Here, not above: importing torchvision takes seconds, and most data sets do without it.
    import torchvision.datasets as collection

    try:
        return getattr(collection, name)(str(root), train=train, download=download)
    except (OSError, RuntimeError) as error:
        what = "downloading" if download else "reading"
        raise DataError(
            f"{what} {name} in {root.absolute()} failed: {str(error).splitlines()[0]}",
            remedy="check the connection and the free space, or put the files there yourself"
            if download
            else "delete its folder and fetch it again with `data.download: true`",
        ) from error
