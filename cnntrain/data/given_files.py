"""The image files that somebody names: files, folders, patterns, and lists. Imports no torch."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cnntrain.core.errors import UsageError
from cnntrain.data.decode import SUFFIXES
from cnntrain.data.left_out import LeftOut, summaries
from cnntrain.data.on_disk import Listing, list_images
from cnntrain.data.path_list import PathList


def list_given(paths: Sequence[Path]) -> Listing:
    """The files in the order in which they are given; those of a folder, at any depth, by path.

    A file that is named, or that a pattern matches, is an image whatever its suffix; of a folder
    those with another suffix are left out, and hidden ones are passed over.

    Args:
        paths: files, folders, or patterns where nothing has that very name: `photos/*.jpg`, and
            `**/*.png` for any depth.

    Raises:
        UsageError: there is nothing of that name, or nothing matches.
    """
    images: list[Path] = []
    left_out: list[LeftOut] = []
    for given in paths:
        for path in _matching(given):
            if path.is_dir():
                listing = list_images(path)
                images += listing.images
                left_out += listing.left_out
            else:
                images.append(path)
    return Listing(PathList(images), tuple(left_out))


def _matching(given: Path) -> Sequence[Path]:
    """The path itself, or what it matches as a pattern, sorted."""
    if os.path.lexists(given):
        if not given.exists():
            raise UsageError(f"{given} links to a file that is gone", remedy="leave it out")
        return [given]
    pattern = str(given)
    if not glob.has_magic(pattern):
        raise UsageError(f"there is no file or folder {given}", remedy="check the path")
    names = glob.glob(pattern, recursive=True)  # noqa: PTH207  # a Path's refuses absolute ones
    found = [Path(name) for name in sorted(names)]
    if "**" in given.parts:  # what folders contain is matched, too
        found = [path for path in found if not path.is_dir()]
    if not found:
        raise UsageError(
            f"no file matches {pattern}",
            remedy="check the pattern: * is any part of one name, ** any folders, and capitals "
            "count on most systems",
        )
    return found


def unrepeated(files: Sequence[Path]) -> PathList:
    """Each file once, at its first place; a link is a file of its own."""
    first: dict[str, Path] = {}
    for path in files:
        first.setdefault(os.path.abspath(path), path)  # noqa: PTH100  # links are not followed
    return PathList(first.values())


def refuse_no_image(listing: Listing, *, given: Sequence[Path]) -> None:
    """Raise a UsageError where there is no image at all."""
    if listing.images:
        return
    known, named = ", ".join(sorted(SUFFIXES)), ", ".join(map(str, given))
    others = "; ".join(summaries(listing.left_out))
    raise UsageError(
        (f"there is no image in {named}" if named else "there is no image")
        + (f" ({others})" if others else ""),
        remedy=f"images end in {known}; the run comes first: `cnntrain predict RUN PATH...`",
    )


def read_names() -> list[Path]:
    """The names on stdin, one a line, or with a NUL after each (`find -print0`).

    Raises:
        UsageError: there are none.
    """
    content = b"" if sys.stdin is None else sys.stdin.buffer.read()
    content = content.removeprefix(b"\xef\xbb\xbf")  # which Windows' editors begin a file with
    # no name has a NUL in it, and only such a list may have names with a line break
    names = content.split(b"\0") if b"\0" in content else content.splitlines()
    encoding = sys.getfilesystemencoding()
    paths = [Path(name.decode(encoding, "surrogateescape")) for name in names if name]
    if not paths:
        raise UsageError(
            "there is no name on stdin, which - stands for",
            remedy="such as: find . -name '*.jpg' | cnntrain predict RUN -",
        )
    return paths
