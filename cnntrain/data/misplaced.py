"""What to write where the images are not where the run file looks for them. Imports no torch."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

from cnntrain.core.errors import DataError
from cnntrain.core.problems import near_match
from cnntrain.data.on_disk import class_folders, has_images
from cnntrain.show.words import listed

NAMES = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""What the folders of the splits are called, in small or capital letters."""

ALL_NAMES = tuple(name for names in NAMES.values() for name in names)

TABLES = frozenset((".csv", ".tsv"))
_SAVED = ("dataset_dict.json", "dataset_info.json", "*.parquet", "*.arrow")
"""What Hugging Face's library writes."""

ARCHIVES = frozenset((".zip", ".tar", ".tgz", ".gz", ".xz", ".7z", ".rar"))


def no_such_folder(path: Path, *, key: str) -> DataError:
    """The error for a folder that is not there, with the one that was probably meant."""
    if path.is_file():
        kind = path.suffix.lower()
        remedy = f"`{key}` names a folder"
        if kind in ARCHIVES:
            remedy = f"unpack it, and name the folder (-s {key}=FOLDER)"
        elif kind in TABLES:
            remedy = f"for a table of files and labels: {_of_table(path)}"
        return DataError(f"{path} is a file, not a folder", remedy=remedy)
    there = path
    while not there.parent.is_dir():
        there = there.parent
    beside = [each.name for each in there.parent.iterdir() if each.is_dir()]
    near = near_match(there.name, [name for name in beside if not name.startswith(".")])
    remedy = f"set `{key}` to the folder of your images"
    if near is not None:
        meant = there.with_name(near) / path.relative_to(there)
        remedy = f"did you mean {_set(key, meant if meant.is_dir() else there.with_name(near))}?"
    elif not path.is_absolute():
        remedy += f" (now looked for in {Path.cwd()})"
    return DataError(f"there is no folder {there}", remedy=remedy)


def no_training_folder(base: Path, name: str) -> DataError:
    """The error for a folder of training images that is named, and is not there."""
    folders = _folders_in(base)
    if any(has_images(path, below=False) for path in folders.values()):
        message = f"there is no folder {base / name}: the class folders are directly in {base}"
        return DataError(message, remedy="remove `data.train_folder`")
    near = near_match(name, folders)
    remedy = f"did you mean -s data.train_folder={near}?" if near else "correct `data.train_folder`"
    return DataError(f"there is no folder {base / name}", remedy=remedy)


def refuse_misplaced(base: Path, folders: Mapping[str, Path]) -> None:
    """Raise a DataError where `base` is not a folder of class folders, naming what to write."""
    _refuse_one_level_off(base, folders)
    named = [name for name in folders if name.casefold() in ALL_NAMES]
    if any(_folders_in(folders[name]) for name in named):
        raise DataError(
            f"{base} has no folder of training images; it has {listed(list(folders))}",
            remedy="name it train, or say what it is called: -s data.train_folder=NAME",
        )
    alike = [name for name in folders if _words(name) & set(ALL_NAMES)]
    if alike and (len(alike) == len(folders) or len(class_folders(folders[alike[0]])) > 1):
        train = next((name for name in alike if _words(name) & set(NAMES["train"])), alike[0])
        raise DataError(
            f"the folders in {base} look like splits, not like classes: {listed(alike)}",
            remedy=f"say which is which: -s data.train_folder={train} "
            "-s data.validation_folder=NAME (if they are classes: -s data.train_folder=.)",
        )
    with_images = list(islice((name for name, path in folders.items() if has_images(path)), 2))
    if len(with_images) < 2:
        raise _without_class_folders(base, with_images)


def _words(name: str) -> set[str]:
    return set(re.split(r"[^a-z]+", name.casefold()))


def _refuse_one_level_off(base: Path, folders: Mapping[str, Path]) -> None:
    found = {name: _train_of(path) for name, path in folders.items()}
    trains = {name: path for name, path in found.items() if path is not None}
    below = [name for name, path in trains.items() if len(_folders_in(path)) > 1]
    if len(trains) > 1 and not below:
        raise DataError(
            f"each class of {base} is split by itself ({next(iter(trains))}/train, ...)",
            remedy="put the splits outside and the classes inside, train/CLASS, or all images of a "
            "class into one folder (data.split holds some out)",
        )
    if below:
        places = " or ".join(_set("data.root", base / name) for name in below[:3])
        raise DataError(f"the images are a level below {base}", remedy=f"write {places}")
    above = base.absolute().parent
    there = [name for name in _folders_in(above) if name.casefold() in ALL_NAMES]
    if folders and base.absolute().name in there and len(there) > 1:
        raise DataError(
            f"{base} is one split of {above}: there are {listed(there)}",
            remedy=f"write {_set('data.root', _shown_as(base, above))}; to use it alone, "
            f"{_set('data.root', base)} -s data.train_folder=.",
        )
    if not folders and has_images(base) and len(_classes_in(above)) > 1 and not _table_in(base):
        top = above.parent if above.name.casefold() in ALL_NAMES else above
        remedy = f"write {_set('data.root', _shown_as(base, top))}"
        message = f"{base} holds images, and no class folders"
        otherwise = _by_names(base) or "put the images of each class into a folder of its own"
        raise DataError(message, remedy=f"{otherwise}; if it is one class of {above}: {remedy}")


def refuse_hugging_face(base: Path) -> None:
    """Raise a DataError where `base` holds tables with images in them, and no image files."""
    saved = (next(base.glob(f"{at}{each}"), None) for each in _SAVED for at in ("", "data/"))
    if any(saved) and not has_images(base):
        remedy = f"-s data.name=huggingface {_set('data.path', base)} -s data.root=null"
        message = f"{base} is a data set of Hugging Face's library, not a folder of images"
        raise DataError(message, remedy=f"write {remedy}")


def _set(key: str, value: Path) -> str:
    """What the command line says to set a key, as a shell reads it."""
    return f"-s {shlex.quote(f'{key}={value}')}"


def _of_table(table: Path) -> str:
    return f"-s data.name=csv {_set('data.file', table)} -s data.root=null"


def _table_in(folder: Path) -> Path | None:
    return next((it for it in sorted(folder.iterdir()) if it.suffix.lower() in TABLES), None)


def _by_names(folder: Path) -> str:
    """What to write where the files' names begin with their classes; nothing if they do not."""
    prefixes = _prefixes(path.name for path in sorted(folder.iterdir()) if path.is_file())
    if not prefixes:
        return ""
    return (
        f"if their names begin with the class ({listed(prefixes, most=3)}): "
        f"-s data.name=file_names -s 'data.pattern=([^_]+)_.*' {_set('data.root', folder)}"
    )


def _shown_as(given: Path, wanted: Path) -> Path:
    """A folder above the given one, relative if that was."""
    levels = len(given.absolute().parts) - len(wanted.parts)
    short = given
    for _ in range(levels):
        short = short.parent
    return short if not given.is_absolute() and short != Path() else wanted


def has_train(folder: Path) -> bool:
    """Whether a folder of class folders in it is called as that of the training images is."""
    train = _train_of(folder)
    return train is not None and len(_folders_in(train)) > 1


def _train_of(folder: Path) -> Path | None:
    """Asked for by name, so that a folder of many images is not read."""
    names = [spelt for name in NAMES["train"] for spelt in (name, name.capitalize(), name.upper())]
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _folders_in(folder: Path) -> dict[str, Path]:
    try:
        return {name: paths[0] for name, paths in class_folders(folder).items()}
    except DataError:  # it may not be read
        return {}


def _classes_in(folder: Path) -> list[str]:
    return [name for name, path in _folders_in(folder).items() if has_images(path)]


def _without_class_folders(base: Path, with_images: Sequence[str]) -> DataError:
    """For a folder with images in it, or in one folder of it, and nothing that says the classes."""
    inside = base / with_images[0] if with_images else base
    if with_images and class_folders(inside):
        inside_folders = [name for name, path in _folders_in(inside).items() if has_images(path)]
        if len(inside_folders) > 1:
            return DataError(
                f"the class folders are in {inside}", remedy=f"write {_set('data.root', inside)}"
            )
    if not with_images and not has_images(base):
        if next(base.glob("*.tar"), None) is not None:
            message = f"{base} holds tar files, and no images"
            return DataError(message, remedy="if they are WebDataset's: -s data.name=webdataset")
        return DataError(f"there are no images in {base}", remedy="check `data.root`")
    what = "has only one class" if with_images else "has images, but no class folders"
    if (table := _table_in(base)) is not None:
        remedy = f"if {table.name} says them: {_of_table(table)}"
    elif not (remedy := _by_names(inside)):
        remedy = "put the images of each class into a folder of its own, two classes at least"
    shown = f"{base} {what}" + (f", '{with_images[0]}'" if with_images else "")
    return DataError(shown, remedy=remedy)


def _prefixes(names: Iterable[str]) -> list[str]:
    """What two or more files' names begin with, if nearly all of them begin so."""
    found = Counter(match[1] for name in names if (match := re.match(r"([^\W\d_]+)_", name)))
    several = [name for name, count in found.items() if count > 1]
    return several if 1 < len(several) <= 100 else []
