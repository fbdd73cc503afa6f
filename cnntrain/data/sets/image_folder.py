"""The user's own images: one folder per class."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from cnntrain.core.errors import DataError
from cnntrain.core.kinds import Names
from cnntrain.core.problems import near_match, suggestion
from cnntrain.data import dataset
from cnntrain.data.decode import SUFFIXES, UnreadableImageError, decode, in_threads
from cnntrain.data.left_out import UNREADABLE, LeftOut, summaries
from cnntrain.data.on_disk import Listing, class_folders, list_images, loose_images
from cnntrain.data.splits import Files, Splits


@dataclass(frozen=True)
class _Split:
    files: Files
    notes: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


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
    training, is an error. Hidden files and folders are passed over. Files with other suffixes,
    images beside the class folders and linked folders that lead back are left out, and listed on
    the terminal and in the run's `left_out.txt`.

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
        raise _no_training_folder(base, train_folder)
    names = _class_list(train, classes)
    read = partial(_read, classes=names, channels=channels, skips=unreadable == "skip")
    splits = {"training": read(train, "training")}
    others = {
        "validation": _find(base, "validation_folder", validation_folder, ("val", "validation")),
        "test": _find(base, "test_folder", test_folder, ("test",)),
    }
    splits |= {name: read(path, name) for name, path in others.items() if path is not None}
    files = {name: split.files for name, split in splits.items()}
    return Splits(
        names,
        files["training"],
        validation=files.get("validation"),
        test=files.get("test"),
        notes=tuple(note for split in splits.values() for note in split.notes),
        left_out=tuple(file for split in splits.values() for file in split.left_out),
    )


def _no_training_folder(base: Path, name: str) -> DataError:
    remedy = f"set `data.root` to the folder that holds {name}/"
    if not base.is_dir():
        there = class_folders(base.parent) if base.parent.is_dir() else ()
        near = near_match(base.name, there)
        remedy = f"did you mean '{base.parent / near}'? `data.root` names it" if near else remedy
        return DataError(f"there is no folder {base}", remedy=remedy)
    inside = [path for folder in class_folders(base).values() for path in folder.iterdir()]
    if any(path.suffix.lower() in SUFFIXES for path in inside):
        message = f"there is no folder {base / name}: the class folders are directly in {base}"
        return DataError(
            message, remedy="set `data.train_folder: .` and `data.split.validation: 0.2`"
        )
    return DataError(
        f"there is no folder {base / name}", remedy=f"{remedy}, or `data.train_folder`"
    )


def _class_list(train: Path, given: tuple[str, ...] | None) -> tuple[str, ...]:
    found = tuple(class_folders(train))
    if not found:
        raise DataError(
            f"there are no class folders in {train}",
            remedy="put the images of each class into a folder of its own",
        )
    names = found if given is None else given
    for number, name in enumerate(names):
        if name in names[:number]:
            raise DataError(f"`data.classes` names '{name}' twice", remedy="remove one of the two")
    for name in names:
        if name not in found:
            raise DataError(
                f"the class '{name}' of `data.classes` has no folder in {train}",
                remedy=suggestion(name, found),
            )
    if len(names) < 2:
        raise DataError(
            f"{train} has only one class, '{names[0]}'",
            remedy="a classifier needs at least two class folders",
        )
    return names


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


def _read(
    folder: Path, name: str, *, classes: tuple[str, ...], channels: int, skips: bool
) -> _Split:
    """List a split by the one class list."""
    folders = class_folders(folder)
    for extra in folders:
        if extra not in classes:
            raise DataError(
                f"the {name} folder {folder / extra} is not among the classes",
                remedy=f"{suggestion(extra, classes)} Or move the folder away",
            )
    listings = {label: list_images(path) for label, path in folders.items()}
    images = {label: listings[label].images if label in listings else () for label in classes}
    empty = [label for label in classes if not images[label]]
    if name == "training" and empty:
        raise _empty_class(folder / empty[0], listings[empty[0]])
    paths = [(path, number) for number, label in enumerate(classes) for path in images[label]]
    skipped = _unreadable([path for path, _ in paths], channels) if skips else ()
    bad = {item.path: item.reason for item in skipped}
    kept = [(path, number) for path, number in paths if path not in bad]
    lost = set(range(len(classes))) - {number for _, number in kept}
    if name == "training" and lost:
        gone = folder / classes[min(lost)]
        reason = next(reason for path, reason in bad.items() if gone in path.parents)
        raise DataError(
            f"not one image in {gone} can be read: {reason}",
            remedy="replace the images, or remove the folder",
        )
    if not kept:
        raise DataError(f"there are no readable images in {folder}", remedy="check the folder")
    targets = torch.tensor([number for _, number in kept], dtype=torch.int64)
    files = Files(tuple(path for path, _ in kept), targets, channels)
    others = [file for listing in listings.values() for file in listing.left_out]
    notes = (f"{folder} has no images of {', '.join(empty)}",) if empty else ()
    return _Split(files, notes, (*loose_images(folder), *others, *skipped))


def _empty_class(folder: Path, listing: Listing) -> DataError:
    other = f" ({'; '.join(summaries(listing.left_out))})" if listing.left_out else ""
    return DataError(
        f"the class folder {folder} has no images{other}",
        remedy="remove the folder, or add images with one of the suffixes "
        + " ".join(sorted(SUFFIXES)),
    )


def _unreadable(paths: list[Path], channels: int) -> tuple[LeftOut, ...]:
    def problem(path: Path) -> LeftOut | None:
        try:
            decode(path, channels=channels)
        except UnreadableImageError as error:
            return LeftOut(path, error.reason, UNREADABLE)
        return None

    return tuple(found for found in in_threads(problem, paths) if found is not None)
