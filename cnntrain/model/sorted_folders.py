"""Copies of images in a folder for each class that they are taken for."""

from __future__ import annotations

import os
import re
import shutil
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cnntrain.core.errors import DataError
from cnntrain.core.whole_folder import filled_whole
from cnntrain.show.progress import bar

_LONGEST = 200
"""Bytes of a class folder's name; file systems allow 255."""
_UNSAFE = re.compile(r'[%<>:"/\\|?*]|^[. ]|[. ]$')  # for Linux, macOS or Windows
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)  # on Windows


def folder_names(answers: Sequence[str]) -> list[str]:
    """A name for the folder of each answer, on any system; no two are the same one.

    What is unsafe is written as in addresses: `a/b` is `a%2Fb`. Where two names differ in capitals
    only, or are too long, the later one gets a number: `cat~2`.
    """
    names: list[str] = []
    taken: set[str] = set()
    for label in answers:
        name = _UNSAFE.sub(lambda found: _percent(found[0]), label)
        name = "".join(c if c.isprintable() else _percent(c) for c in name) or "%"
        if _RESERVED.match(name):
            name = _percent(name[0]) + name[1:]
        name = name.encode("utf-8", "surrogateescape")[:_LONGEST].decode("utf-8", "ignore")
        names.append(untaken(name, "~", "", taken))
    return names


def _percent(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode("utf-8", "surrogateescape"))


def untaken(stem: str, mark: str, suffix: str, taken: set[str]) -> str:
    """The name, with the first number from 2 on where it is taken; then it is taken."""
    name, number = stem + suffix, 1
    if len(os.fsencode(name)) > 248:  # of 255 that file systems allow
        stem = stem[: -len("-12345")]
    while (key := unicodedata.normalize("NFC", name).casefold()) in taken:
        number += 1
        name = f"{stem}{mark}{number}{suffix}"
    taken.add(key)
    return name


def sort_into(folder: Path, files: Mapping[str, Sequence[Path]]) -> None:
    """Copy files into `folder/NAME/`, their times with them; all of them are there, or none.

    Equal names get a number: `IMG_1-2.jpg`. The originals are only read.

    Args:
        folder: new or empty, see `filled_whole`.
        files: by the name of their folder, see `folder_names`.

    Raises:
        DiskError: no space, no permission.
        DataError: a file can no longer be read.
    """
    every = [file for some in files.values() for file in some]
    with (
        filled_whole(folder, needed=sum(map(_size, every))) as temporary,
        bar("copies", total=len(every)) as shown,
    ):
        for name, some in files.items():
            for _ in _copies(temporary / name, some):
                shown.update()


def _copies(folder: Path, files: Iterable[Path]) -> Iterable[Path]:
    folder.mkdir()
    taken: set[str] = set()
    for file in files:
        copy = folder / untaken(file.stem, "-", file.suffix, taken)
        try:
            with file.open("rb") as source, copy.open("xb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        except OSError as error:
            if os.access(file, os.R_OK):
                raise
            message = f"cannot read {file}, which could be read before: {error.strerror}"
            raise DataError(message, remedy="repeat the command") from error
        with suppress(OSError):  # such as of a file system that has no times
            shutil.copystat(file, copy)
        yield copy


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
