"""Folders of images as they lie: where the splits are, or what to write so that they are found.

What could train on nonsense is an error that names the right `data.root`. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from cnntrain.core.errors import DataError
from cnntrain.core.target_forms import TargetForm
from cnntrain.data.metadata import Stated
from cnntrain.data.misplaced import (
    ALL_NAMES,
    NAMES,
    has_train,
    no_such_folder,
    no_training_folder,
    refuse_hugging_face,
    refuse_misplaced,
)
from cnntrain.data.on_disk import class_folders, expanded, has_images
from cnntrain.show.words import listed

Given = str | Literal[False] | None


@dataclass(frozen=True)
class Layout:
    """Where the class folders of each split are.

    Args:
        train: of the training images.
        validation: None where there is no such split.
        test: None where there is no such split.
        undivided: the class folders are in no split's folder, and nobody has said that they train.
        notes: what the user should know of it.
    """

    train: Path
    validation: Path | None = None
    test: Path | None = None
    undivided: bool = False
    notes: tuple[str, ...] = ()


def look_at_folders(parameters: Mapping[str, Any]) -> Stated:
    """What is known of an `image_folder`; raises DataError where its layout is not understood."""
    given = [parameters.get(f"{split}_folder") for split in NAMES]
    found = find_layout(parameters["root"], *given)
    classes = parameters.get("classes") or tuple(class_folders(found.train)) or None
    form: TargetForm = "labels" if parameters.get("links") == "labels" else "classes"
    return Stated(classes, found.validation is not None, found.undivided, form)


def look_at_tiles(parameters: Mapping[str, Any]) -> Stated:
    """What is known of `tiles`: the classes of its folders are its labels."""
    return replace(look_at_folders(parameters), form="labels")


def find_layout(
    root: str, train: str | None = None, validation: Given = None, test: Given = None
) -> Layout:
    """The folders of the splits below `root`.

    Args:
        root: `data.root`.
        train, validation, test: what the run file calls the split's folder; None: the usual names;
            False: there is no such split.

    Raises:
        DataError: they are not clear, or one that is named is not there.
    """
    base = expanded(root, key="data.root")
    if not base.is_dir():
        raise no_such_folder(base, key="data.root")
    if train is not None:
        folder = base / train
        if not folder.is_dir():
            raise no_training_folder(base, train)
        return _with_others(Layout(folder), base, validation, test)
    refuse_hugging_face(base)
    base, notes = _into_the_only_folder(base)
    folders = {name: paths[0] for name, paths in class_folders(base).items()}
    found = _split_folder(base, folders, "train")
    if found is not None:
        others = [name for name in folders if name.casefold() not in ALL_NAMES]
        if others and all(given is None for given in (validation, test)):
            notes = (*notes, f"not used, because {base} has splits: {listed(others)}")
        return _with_others(Layout(found, notes=notes), base, validation, test)
    refuse_misplaced(base, folders)
    return _with_others(Layout(base, undivided=True, notes=notes), base, validation, test)


def _with_others(layout: Layout, base: Path, validation: Given, test: Given) -> Layout:
    """With the folders of validation and test, given or of the usual names."""
    found: dict[str, Path | None] = {}
    for split, given in (("validation", validation), ("test", test)):
        if given is False:
            found[split] = None
        elif given is not None:
            found[split] = base / given
            if not (base / given).is_dir():
                remedy = f"correct `data.{split}_folder`"
                raise DataError(f"there is no folder {base / given}", remedy=remedy)
        elif layout.train == base:  # the class folders are here, whatever they are called
            found[split] = None
        else:
            folders = {name: paths[0] for name, paths in class_folders(base).items()}
            found[split] = _split_folder(base, folders, split)
    is_alone = layout.undivided and not any(found.values())
    return Layout(layout.train, found["validation"], found["test"], is_alone, layout.notes)


def _split_folder(base: Path, folders: Mapping[str, Path], split: str) -> Path | None:
    """The folder of a split by its usual names.

    A class may be called `train`: where that folder has no folders and others have images, all of
    them are classes.
    """
    there = [path for name, path in folders.items() if name.casefold() in NAMES[split]]
    if len(there) > 1:
        raise DataError(
            f"{base} has both '{there[0].name}' and '{there[1].name}'",
            remedy=f"say which one to use with `data.{split}_folder`",
        )
    if there and split == "train" and not class_folders(there[0]):
        others = [path for name, path in folders.items() if name.casefold() not in ALL_NAMES]
        if others and has_images(there[0]) and all(has_images(path) for path in others):
            return None
    return there[0] if there else None


def _into_the_only_folder(base: Path) -> tuple[Path, tuple[str, ...]]:
    """The folder inside, as long as there is but one, and it holds folders itself."""
    start = base
    while len(folders := class_folders(base)) == 1 and not has_images(base, below=False):
        (inside, *_) = next(iter(folders.values()))
        if inside.name.casefold() in ALL_NAMES:
            break
        base = inside
    if base == start or not (has_train(base) or len(class_folders(base)) > 1):
        return start, ()
    return base, (f"{start} holds nothing but a folder of folders: {base} is used",)
