"""Files that a data set does not use: which, why, and what to do. Imports no torch."""

from __future__ import annotations

import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from cnntrain.core.escapes import escaped
from cnntrain.core.stderr import say
from cnntrain.show.words import listed


@dataclass(frozen=True)
class Cause:
    """Why files are left out.

    Args:
        what: the files in words, such as `images beside the class folders`.
        remedy: what to do, if there is anything.
    """

    what: str
    remedy: str = ""


class LeftOut(NamedTuple):
    """A file that is not used, and why: the reason is of this file, the cause of all like it.

    `split` is that whose folder it is in, as the files have it; empty where it is of no split.
    """

    path: Path
    reason: str
    cause: Cause
    split: str = ""

    @classmethod
    def of(cls, path: Path, cause: Cause) -> LeftOut:
        """One whose cause says it all."""
        return cls(path, cause.what, cause)


UNREADABLE = Cause("images that cannot be read (data.unreadable: skip)", "replace or delete them")
LOOSE = Cause("images beside the class folders", "move each into the folder of its class")
LOOP = Cause("linked folders that lead back to one that is read already")
OTHER_CLASS = Cause(
    "linked folders of another class",
    "remove the link; with data.links: labels an image that is linked itself has both labels",
)
NO_IMAGE = Cause("files that are not images")
_CONVERT = "convert them to JPEG or PNG"
WITH_HEIC = "pip install 'cnntrain[heic]'"
"""The remedy where HEIC images lie."""

_BRANDS = {b"heic": "HEIC", b"heix": "HEIC", b"hevc": "HEIC", b"heim": "HEIC", b"heis": "HEIC",
           b"mif1": "HEIC", b"msf1": "HEIC", b"avif": "AVIF", b"avis": "AVIF",
           b"crx ": "camera raw"}  # fmt: skip
_BEGINNINGS = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"GIF8": "GIF",
               b"II*\0": "TIFF", b"MM\0*": "TIFF", b"8BPS": "PSD", b"\xff\x0a": "JPEG XL",
               b"\0\0\0\x0cJXL ": "JPEG XL", b"\0\0\0\x0cjP  ": "JPEG 2000",
               b"\xff\x4f\xff\x51": "JPEG 2000"}  # fmt: skip
_RAW = frozenset((".dng", ".nef", ".cr2", ".arw", ".pef", ".srw", ".orf", ".rw2"))


def image_format(path: Path) -> str:
    """The image format that a file's content begins as; empty where it is none that is known.

    Only regular files are opened: a pipe would wait for somebody who writes into it.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return ""
        with path.open("rb") as file:
            begin = file.read(32)
    except OSError:
        return ""
    if begin[4:8] == b"ftyp":
        brand = _BRANDS.get(begin[8:12], "")
        return "AVIF" if brand == "HEIC" and b"avif" in begin[16:] else brand
    if begin[:4] == b"RIFF" and begin[8:12] == b"WEBP":
        return "WEBP"
    known = (name for start, name in _BEGINNINGS.items() if begin.startswith(start))
    found = next(known, "")
    return "camera raw" if found == "TIFF" and path.suffix.lower() in _RAW else found


def cause_of(path: Path, *, readable: Sequence[str]) -> Cause:
    """Why a file whose suffix is not one of an image's is left out; `readable` formats are read."""
    found = image_format(path)
    if not found:
        return NO_IMAGE
    if found in readable:
        wanted = {"JPEG": "jpg", "TIFF": "tif"}.get(found, found.lower())
        return Cause(f"{found} images under another suffix", f"end their names in .{wanted}")
    remedy = WITH_HEIC if found == "HEIC" else _CONVERT
    return Cause(f"{found} images, which are not read", remedy)


def summaries(files: Collection[LeftOut]) -> tuple[str, ...]:
    """One sentence for each cause: how many files, the first of them, the remedy."""
    by_cause: dict[Cause, list[str]] = {}
    for file in files:
        by_cause.setdefault(file.cause, []).append(escaped(str(file.path)))
    return tuple(
        f"{len(names):,} left out: {cause.what}: {listed(names)}"
        + (f"; {cause.remedy}" if cause.remedy else "")
        for cause, names in by_cause.items()
    )


_gathered: ContextVar[dict[LeftOut, None] | None] = ContextVar("gathered", default=None)


@contextmanager
def gathered() -> Iterator[Collection[LeftOut]]:
    """The files that `tell` names inside of the block; there it names each once."""
    found: dict[LeftOut, None] = {}
    token = _gathered.set(found)
    try:
        yield found.keys()
    finally:
        _gathered.reset(token)


def tell(files: Collection[LeftOut]) -> None:
    """Say on stderr which files are not used: whoever reads a folder for a user does."""
    known = _gathered.get()
    if known is not None:
        files = [file for file in files if file not in known]
        known.update(dict.fromkeys(files))
    for text in summaries(files):
        say(f"note: {text}")


def rows(files: Sequence[LeftOut]) -> str:
    """A line for each file: its path, a tab, the reason."""
    return "".join(f"{escaped(str(file.path))}\t{escaped(file.reason)}\n" for file in files)


def plain(files: Collection[LeftOut]) -> list[dict[str, str]]:
    """The files as plain data, for `--json`."""
    return [{"file": str(f.path), "reason": f.reason, "remedy": f.cause.remedy} for f in files]
