"""The user's own images: one folder per class."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from cnntrain.core.errors import DataError
from cnntrain.core.kinds import Names
from cnntrain.core.problems import suggestion
from cnntrain.data import dataset
from cnntrain.data.decode import SUFFIXES, UnreadableImageError, decode, in_threads
from cnntrain.data.folders import Listing, class_folders, list_images
from cnntrain.data.splits import Files, Splits, Unreadable


@dataclass(frozen=True)
class _Split:
    files: Files
    notes: tuple[str, ...]
    skipped: tuple[Unreadable, ...]


@dataset(
    "image_folder",
    classes="$classes",
    channels="$channels",
    class_folders="$root/$train_folder",
    validation="$validation_folder",
    validation_folders=("$root/val", "$root/validation"),
)
def image_folder(
    *,
    root: str,
    train_folder: str = "train",
    validation_folder: str | Literal[False] | None = None,
    test_folder: str | Literal[False] | None = None,
    classes: Names | None = None,
    channels: Literal[1, 3] = 3,
    unreadable: Literal["error", "skip"] = "error",
) -> Splits:
    """Images in `root/train/CLASS/...`, with validation and test splits beside it.

    One class list serves all splits, and folders are mapped to it by name. A class folder that
    validation or test lacks is noted; one that training does not know, or one without images in
    training, is an error. Hidden files and folders are passed over, files with other suffixes are
    noted, linked folders that lead back are entered once.

    Args:
        root: the folder of the splits.
        train_folder: sub-folder of the training images.
        validation_folder: sub-folder of the validation images; if null, `val` or `validation` if
            it exists; false for none.
        test_folder: sub-folder of the test images; if null, `test` if it exists; false for none.
        classes: the class list, in this order; the training folders in alphabetical order if null.
        channels: 3 for RGB, 1 for grey; all images are converted.
        unreadable: `error` stops at the first image that cannot be read, at the time it is needed;
            `skip` reads every image beforehand, leaves those out of every split and lists them.
    """
    base = Path(root).expanduser()
    train = base / train_folder
    if not train.is_dir():
        raise DataError(
            f"there is no folder {train}",
            remedy="set `data.root` to the folder that holds it, or `data.train_folder`",
        )
    found = tuple(class_folders(train))
    names = _class_list(train, found, classes)
    read = _Reader(names, channels, unreadable)
    first = read(train, "training")
    others = {
        "validation": _find(base, "validation_folder", validation_folder, ("val", "validation")),
        "test": _find(base, "test_folder", test_folder, ("test",)),
    }
    splits = {name: read(path, name) for name, path in others.items() if path is not None}
    notes = [note for split in (first, *splits.values()) for note in split.notes]
    skipped = [item for split in (first, *splits.values()) for item in split.skipped]
    return Splits(
        names,
        first.files,
        validation=splits["validation"].files if "validation" in splits else None,
        test=splits["test"].files if "test" in splits else None,
        notes=tuple(notes),
        skipped=tuple(skipped),
    )


def _class_list(
    train: Path, found: tuple[str, ...], given: tuple[str, ...] | None
) -> tuple[str, ...]:
    if not found:
        raise DataError(
            f"there are no class folders in {train}",
            remedy="put the images of each class into a folder of its own",
        )
    if given is None:
        names = found
    else:
        names = given
        _refuse_repeated(given)
        absent = [name for name in given if name not in found]
        if absent:
            raise DataError(
                f"the class '{absent[0]}' of `data.classes` has no folder in {train}",
                remedy=suggestion(absent[0], found),
            )
    if len(names) < 2:
        raise DataError(
            f"{train} has only one class, '{names[0]}'",
            remedy="a classifier needs at least two class folders",
        )
    return names


def _refuse_repeated(names: tuple[str, ...]) -> None:
    for number, name in enumerate(names):
        if name in names[:number]:
            raise DataError(f"`data.classes` names '{name}' twice", remedy="remove one of the two")


def _find(
    base: Path, parameter: str, given: str | Literal[False] | None, defaults: tuple[str, ...]
) -> Path | None:
    if given is False:
        return None
    if given is not None:
        if not (base / given).is_dir():
            raise DataError(
                f"there is no folder {base / given}", remedy=f"correct `data.{parameter}`"
            )
        return base / given
    there = [base / name for name in defaults if (base / name).is_dir()]
    if len(there) > 1:
        raise DataError(
            f"{base} has both '{there[0].name}' and '{there[1].name}'",
            remedy=f"say which one to use with `data.{parameter}`",
        )
    return there[0] if there else None


class _Reader:
    """Lists a split by the one class list."""

    def __init__(
        self, classes: tuple[str, ...], channels: int, unreadable: Literal["error", "skip"]
    ) -> None:
        self._classes = classes
        self._channels = channels
        self._skips = unreadable == "skip"

    def __call__(self, folder: Path, name: str) -> _Split:
        folders = class_folders(folder)
        extra = [there for there in folders if there not in self._classes]
        if extra:
            raise DataError(
                f"the {name} folder {folder / extra[0]} is not among the classes",
                remedy=f"{suggestion(extra[0], self._classes)} Or move the folder away",
            )
        listings = {there: list_images(path) for there, path in folders.items()}
        empty = [label for label in self._classes
                 if label not in listings or not listings[label].images]  # fmt: skip
        if name == "training" and empty:
            raise _empty_class(folder / empty[0], listings[empty[0]])
        paths = [(path, number) for number, label in enumerate(self._classes)
                 if label in listings for path in listings[label].images]  # fmt: skip
        notes = list(_notes(folder, listings.values()))
        if empty:
            notes.insert(0, f"{folder} has no images of {', '.join(empty)}")
        skipped = _unreadable([path for path, _ in paths], self._channels) if self._skips else ()
        bad = {item.path for item in skipped}
        kept = [(path, number) for path, number in paths if path not in bad]
        lost = set(range(len(self._classes))) - {number for _, number in kept}
        if name == "training" and lost:
            gone = folder / self._classes[min(lost)]
            raise DataError(
                f"not one image in {gone} can be read: {_reason(skipped, gone)}",
                remedy="replace the images, or remove the folder",
            )
        if not kept:
            raise DataError(f"there are no readable images in {folder}", remedy="check the folder")
        targets = torch.tensor([number for _, number in kept], dtype=torch.int64)
        files = Files(tuple(path for path, _ in kept), targets, self._channels)
        return _Split(files, tuple(notes), tuple(skipped))


def _reason(skipped: Sequence[Unreadable], folder: Path) -> str:
    """Why the first image below a folder was left out."""
    return next(item.reason for item in skipped if folder in item.path.parents)


def _empty_class(folder: Path, listing: Listing) -> DataError:
    other = f" (it has {len(listing.ignored)} other files)" if listing.ignored else ""
    return DataError(
        f"the class folder {folder} has no images{other}",
        remedy="remove the folder, or add images with one of the suffixes "
        + " ".join(sorted(SUFFIXES)),
    )


def _notes(folder: Path, listings: Collection[Listing]) -> list[str]:
    notes = []
    ignored = [path for listing in listings for path in listing.ignored]
    repeated = [path for listing in listings for path in listing.repeated]
    if ignored:
        notes.append(f"{len(ignored)} files in {folder} are no images, such as {ignored[0]}")
    if repeated:
        notes.append(f"linked folders that lead back were entered once: {repeated[0]}")
    return notes


def _unreadable(paths: list[Path], channels: int) -> tuple[Unreadable, ...]:
    def problem(path: Path) -> Unreadable | None:
        try:
            decode(path, channels=channels)
        except UnreadableImageError as error:
            return Unreadable(path, error.reason)
        return None

    return tuple(found for found in in_threads(problem, paths) if found is not None)
