"""The user's own images: one folder per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from cnntrain.core.errors import DataError
from cnntrain.core.kinds import Bits, ClassList
from cnntrain.core.problems import suggestion
from cnntrain.core.target_forms import TargetForm
from cnntrain.data import dataset
from cnntrain.data.decode import SUFFIXES
from cnntrain.data.labelled import unreadable as unreadable_files
from cnntrain.data.layouts import find_layout
from cnntrain.data.left_out import LeftOut, summaries
from cnntrain.data.on_disk import Listing, class_folders, list_images, loose_images, twins
from cnntrain.data.path_list import PathList
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
    look="cnntrain.data.layouts:look_at_folders",
)
def image_folder(  # noqa: PLR0913  # one parameter for each key
    *,
    root: str,
    train_folder: str | None = None,
    validation_folder: str | Literal[False] | None = None,
    test_folder: str | Literal[False] | None = None,
    classes: ClassList | None = None,
    channels: Literal[1, 3] = 3,
    bits: Bits = "auto",
    unreadable: Literal["error", "skip"] = "error",
    links: Literal["images", "labels"] = "images",
) -> Splits:
    """Images in `root/train/CLASS/...` and `root/val/CLASS/...`, or in `root/CLASS/...`.

    Class folders directly in `root` are in no split: a fifth of their images is held out for
    validation, unless `data.split` says otherwise. A folder a level too high or too low is
    recognised, or the error says what to write.

    One class list serves all splits, and folders are mapped to it by name. A class folder that
    validation or test lacks is noted; one that training does not know, or one without images in
    training, is an error. Hidden files and folders are passed over. Files with other suffixes,
    images beside the class folders and linked folders that lead back are left out, and listed on
    the terminal and in the run's `left_out.txt`.

    Args:
        root: the folder of the splits, or of the classes.
        train_folder: sub-folder of the training images; if null, `train` or `training` if it
            exists; `.` if the class folders are directly in `root` and all of them train.
        validation_folder: sub-folder of the validation images; if null, `val`, `valid` or
            `validation` if it exists; false for none.
        test_folder: sub-folder of the test images; if null, `test` or `testing` if it exists; false
            for none.
        classes: the class list, in this order; the training folders in alphabetical order if null.
        channels: 3 for RGB, 1 for grey; all images are converted.
        bits: that the values of 16-bit files have, such as 12; auto: 16, or as the file says. The
            highest 8 are kept.
        unreadable: `error` stops at the first image that cannot be read, at the time it is needed;
            `skip` reads every image beforehand, leaves those out of every split and lists them.
        links: what a file is that lies in several class folders by links: `images`, one in each;
            `labels`, one image with several labels, for the task `multilabel`.
    """
    layout = find_layout(root, train_folder, validation_folder, test_folder)
    names = _class_list(layout.train, classes)
    form: TargetForm = "labels" if links == "labels" else "classes"
    read = partial(_read, classes=names, channels=channels, bits=bits,
                   skips=unreadable == "skip", form=form)  # fmt: skip
    splits = {"training": read(layout.train, "training")}
    others = {"validation": layout.validation, "test": layout.test}
    splits |= {name: read(path, name) for name, path in others.items() if path is not None}
    files = {name: split.files for name, split in splits.items()}
    return Splits(
        names,
        files["training"],
        validation=files.get("validation"),
        test=files.get("test"),
        notes=tuple(
            dict.fromkeys(
                (*layout.notes, *(note for split in splits.values() for note in split.notes))
            )
        ),
        left_out=tuple(
            file._replace(split="train" if name == "training" else name)
            for name, split in splits.items()
            for file in split.left_out
        ),
        undivided=layout.undivided,
        form=form,
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


def _read(
    folder: Path,
    name: str,
    *,
    classes: tuple[str, ...],
    channels: int,
    bits: Bits,
    skips: bool,
    form: TargetForm,
) -> _Split:
    """List a split by the one class list."""
    folders = class_folders(folder)
    for extra in folders:
        if extra not in classes:
            raise DataError(
                f"the {name} folder {folders[extra][0]} is not among the classes",
                remedy=f"{suggestion(extra, classes)} Or move the folder away",
            )
    listings = {label: _list_class(label, folders) for label in folders}
    nothing = Listing(PathList(), ())
    images = {label: listings.get(label, nothing).images for label in classes}
    empty = [label for label in classes if not images[label]]
    if name == "training" and empty:
        raise _empty_class(folder / empty[0], listings[empty[0]])
    paths = PathList(path for label in classes for path in images[label])
    numbers = [number for number, label in enumerate(classes) for _ in range(len(images[label]))]
    skipped = unreadable_files(paths, channels, bits) if skips else ()
    if bad := {item.path: item.reason for item in skipped}:
        kept = [index for index, path in enumerate(paths) if path not in bad]
        paths, numbers = paths.select(kept), [numbers[index] for index in kept]
    lost = set(range(len(classes))) - set(numbers)
    if name == "training" and lost:
        gone = folder / classes[min(lost)]
        reason = next(reason for path, reason in bad.items() if gone in path.parents)
        raise DataError(
            f"not one image in {gone} can be read: {reason}",
            remedy="replace the images, or remove the folder",
        )
    if not paths:
        raise DataError(f"there are no readable images in {folder}", remedy="check the folder")
    targets = torch.tensor(numbers, dtype=torch.int64)
    if form == "labels":
        paths, targets = _each_once(paths, targets, classes=len(classes))
    files = Files(paths, targets, channels, bits)
    others = [file for listing in listings.values() for file in listing.left_out]
    notes = (*([f"{folder} has no images of {', '.join(empty)}"] if empty else []), *twins(folders))
    return _Split(files, notes, (*loose_images(folder), *others, *skipped))


def _each_once(paths: PathList, numbers: Tensor, *, classes: int) -> tuple[PathList, Tensor]:
    """Each file at its first place, with the labels `(N, classes)` of all folders that it is in."""
    first: dict[tuple[int, int], int] = {}  # symbolic links and hard ones: by what they lead to
    kept: list[int] = []
    row_of: list[int] = []
    for index, path in enumerate(paths):
        found = path.stat()
        row = first.setdefault((found.st_dev, found.st_ino), len(kept))
        if row == len(kept):
            kept.append(index)
        row_of.append(row)
    targets = torch.zeros(len(kept), classes)
    targets[torch.tensor(row_of), numbers] = 1
    return paths.select(kept), targets


def _list_class(label: str, folders: Mapping[str, Sequence[Path]]) -> Listing:
    """The images of a class, in its one folder or in both."""
    others = [path for name, paths in folders.items() if name != label for path in paths]
    found = [list_images(path, others=others) for path in folders[label]]
    return Listing(
        PathList(path for listing in found for path in listing.images),
        tuple(file for listing in found for file in listing.left_out),
    )


def _empty_class(folder: Path, listing: Listing) -> DataError:
    other = f" ({'; '.join(summaries(listing.left_out))})" if listing.left_out else ""
    return DataError(
        f"the class folder {folder} has no images{other}",
        remedy="remove the folder, or add images with one of the suffixes "
        + " ".join(sorted(SUFFIXES)),
    )
