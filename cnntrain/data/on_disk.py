"""What lies on the disk: class folders, image files, sets of torchvision's. Imports no torch."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnntrain.core.errors import DataError
from cnntrain.data.decode import FORMATS, SUFFIXES
from cnntrain.data.left_out import LOOP, LOOSE, OTHER_CLASS, LeftOut, cause_of, image_format
from cnntrain.data.metadata import unset_variable
from cnntrain.data.path_list import PathList

_NOT_CLASSES = frozenset({"__MACOSX", "__pycache__", "@eaDir", "lost+found"})


@dataclass(frozen=True)
class Listing:
    """The files below one class folder.

    Args:
        images: files with a known suffix, sorted by path.
        left_out: other files, and linked folders that lead back (loops).
    """

    images: PathList
    left_out: tuple[LeftOut, ...]


def expanded(path: str, *, key: str) -> Path:
    """The path with `~` and environment variables (`$HOME`, `${DATA}`) filled in.

    Raises:
        DataError: a variable is not set; `key` is what the run file calls the path.
    """
    if unset := unset_variable(path, key=key):
        raise DataError(unset[0], remedy=unset[1])
    return Path(os.path.expandvars(path)).expanduser()


def class_folders(split: Path) -> dict[str, tuple[Path, ...]]:
    """Class names (Unicode NFC) and their folders, sorted by name as torchvision sorts them.

    A class has two folders where its name is composed in two ways, as when one was copied from
    macOS. Hidden folders (`.ipynb_checkpoints`) and operating systems' own (`__MACOSX`) are no
    classes.

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
    named: dict[str, list[Path]] = {}
    for name in sorted(folders):
        named.setdefault(unicodedata.normalize("NFC", name), []).append(split / name)
    return {name: tuple(named[name]) for name in sorted(named)}


def twins(folders: Mapping[str, Sequence[Path]]) -> list[str]:
    """Notes on class folders of one name that is composed in two ways, or differs in case."""
    notes = [
        f"two folders in {paths[0].parent} are called '{name}' (their letters are composed in two "
        "ways): they are one class"
        for name, paths in folders.items()
        if len(paths) > 1
    ]
    alike: dict[str, list[str]] = {}
    for name in folders:
        alike.setdefault(name.casefold(), []).append(name)
    return notes + [
        f"the classes {', '.join(names)} differ in nothing but capital letters; if they are one, "
        "move their images into one folder"
        for names in alike.values()
        if len(names) > 1
    ]


def has_images(folder: Path, *, below: bool = True) -> bool:
    """Whether a file with the suffix of an image is in a folder, or below it, links aside.

    It ends with the first one: of a large folder only the beginning is read.
    """
    inside = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if _is_foreign(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    inside.append(Path(entry.path))
                elif Path(entry.name).suffix.lower() in SUFFIXES:
                    return True
    except OSError:
        return False
    return below and any(map(has_images, inside))


def list_images(folder: Path, *, others: Collection[Path] = ()) -> Listing:
    """All images below a class folder, at any depth.

    Hidden files, macOS's `._*` files among them, are passed over without mention; a link to one of
    the `others`, the folders of other classes, is left out.
    """
    images: list[Path] = []
    left_out: list[LeftOut] = []
    real = Path(os.path.realpath(folder))
    entered = {str(each) for each in (real, *real.parents)}
    theirs = {os.path.realpath(path) for path in others} - entered
    for path in _files(folder, entered, left_out, theirs):
        if path.suffix.lower() in SUFFIXES:
            images.append(path)
        else:
            left_out.append(LeftOut.of(path, cause_of(path, readable=FORMATS)))
    return Listing(PathList(sorted(images)), tuple(sorted(left_out)))


def loose_images(split: Path) -> tuple[LeftOut, ...]:
    """Images in a folder of class folders that lie in none of these."""
    with os.scandir(split) as entries:
        names = sorted(e.name for e in entries if not e.is_dir() and not _is_foreign(e.name))
    paths = (split / name for name in names)
    return tuple(
        LeftOut.of(path, LOOSE)
        for path in paths
        if path.suffix.lower() in SUFFIXES or image_format(path)
    )


def _is_foreign(name: str) -> bool:
    return name.startswith(".") or name in _NOT_CLASSES


def _files(
    folder: Path, entered: set[str], repeated: list[LeftOut], theirs: Collection[str] = ()
) -> Iterator[Path]:
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
        if real in entered or real in theirs:
            repeated.append(LeftOut.of(path, OTHER_CLASS if real in theirs else LOOP))
            continue
        entered.add(real)
        yield from _files(path, entered, repeated, theirs)


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
