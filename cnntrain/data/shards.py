"""Which tar files a WebDataset has, for which split, and what its classes are. Imports no torch."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cnntrain.core.errors import DataError
from cnntrain.core.problems import near_match
from cnntrain.core.whole_folder import UNFINISHED
from cnntrain.data.metadata import Stated
from cnntrain.data.misplaced import NAMES, no_such_folder
from cnntrain.data.on_disk import expanded
from cnntrain.show.words import counted, listed

CLASS_FILE = "classes.txt"
"""The class names beside the shards, one a line."""

_MOST = 1_000_000
"""Names that braces may stand for."""
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_BRACES = re.compile(r"\{([^{}]*)\}")

Given = str | Literal[False] | None


@dataclass(frozen=True)
class Shards:
    """The tar files of a data set.

    Args:
        splits: of each split that there is, in the order of their names.
        classes: the names in `classes.txt`; None where there is no such file.
        undivided: no split is named, and nobody has said which shards train.
        notes: what the user should know of it.
    """

    splits: Mapping[str, tuple[Path, ...]]
    classes: tuple[str, ...] | None
    undivided: bool
    notes: tuple[str, ...] = ()


def look_at_shards(parameters: Mapping[str, Any]) -> Stated:
    """What is known of a `webdataset` by names; raises DataError where they are not understood."""
    given = {split: parameters.get(f"{split}_shards") for split in NAMES}
    found = find_shards(parameters["root"], given)
    classes = parameters.get("classes") or found.classes
    return Stated(classes, "validation" in found.splits, found.undivided)


def find_shards(root: str, given: Mapping[str, Given]) -> Shards:
    """The shards of each split, as they are named or as they lie.

    As they lie: `train-0001.tar`, `imagenet-val-00.tar` or `test/00.tar`, by the words in the name
    of the file, or else of its folder. Shards without such a word train, if no others do.

    Args:
        root: `data.root`.
        given: of each split the shards' names, with braces or `*`, below `root`; None: as they
            lie; False: there is no such split.

    Raises:
        DataError: there are none, one of a range is missing, or it is not clear which is which.
    """
    base = expanded(root, key="data.root")
    if base.is_file():
        remedy = f"name its folder: -s data.root={base.parent} -s data.train_shards={base.name}"
        raise DataError(f"{base} is a file, not a folder of shards", remedy=remedy)
    if not base.is_dir():
        raise no_such_folder(base, key="data.root")
    if (base / UNFINISHED).exists():
        raise DataError(
            f"the writing of the shards in {base} was interrupted",
            remedy=f"delete {base}, and write them again",
        )
    named = {
        split: _named(base, pattern, key=f"data.{split}_shards")
        for split, pattern in given.items()
        if isinstance(pattern, str)
    }
    lying = _lying(base, {path for paths in named.values() for path in paths})
    unnamed = lying.pop("", ())
    notes: tuple[str, ...] = ()
    undivided = False
    if "train" not in named and "train" not in lying:
        undivided = not named and not lying
        lying["train"], unnamed = unnamed, ()
    elif unnamed and all(pattern is None for pattern in given.values()):
        names = listed([path.name for path in unnamed])
        notes = (f"not used, because {base} has splits: {names}",)
    found = {**{split: lying.get(split, ()) for split in NAMES}, **named}
    splits = {split: found[split] for split in NAMES if found[split] and given[split] is not False}
    if "train" not in splits:
        raise _no_shards(base, lying)
    _refuse_twice(splits)
    return Shards(splits, _class_names(base), undivided, notes)


def expand_braces(pattern: str) -> Iterator[str]:
    """The names that braces stand for: `a-{08..10}` and `{a,b}`, as a shell expands them.

    Raises:
        ValueError: there are very many.
    """
    found = next((m for m in _BRACES.finditer(pattern) if _choices(m[1])), None)
    if found is None:
        yield pattern
        return
    for choice in _choices(found[1]):
        yield from expand_braces(pattern[: found.start()] + choice + pattern[found.end() :])


def _choices(inside: str) -> Sequence[str]:
    if "," in inside:
        return inside.split(",")
    if (match := _RANGE.fullmatch(inside)) is None:
        return ()
    first, last = int(match[1]), int(match[2])
    if abs(last - first) >= _MOST:
        raise ValueError(f"{{{inside}}} stands for more than {_MOST:,} names")
    width = len(match[1]) if match[1].startswith("0") or match[2].startswith("0") else 0
    step = 1 if last >= first else -1
    return [f"{number:0{width}}" for number in range(first, last + step, step)]


def _named(base: Path, pattern: str, *, key: str) -> tuple[Path, ...]:
    if "://" in pattern or pattern.startswith("pipe:"):
        raise DataError(
            f"`{key}: {pattern}` is not a file: shards are read from a disk, in any order",
            remedy="copy them, and name the copies",
        )
    found: list[Path] = []
    missing: list[Path] = []
    try:
        for name in expand_braces(pattern):
            path = base / expanded(name, key=key)
            if path.is_file():
                found.append(path)
            elif glob.has_magic(name):
                found += map(Path, sorted(glob.glob(str(path))))  # noqa: PTH207  # absolute ones
            else:
                missing.append(path)
    except ValueError as error:
        raise DataError(f"`{key}`: {error}", remedy="correct the range") from error
    if missing:
        near = near_match(missing[0].name, [path.name for path in base.glob("*.tar")])
        hint = f"; did you mean {near}?" if near and not found else ""
        raise DataError(
            f"{counted(len(missing), 'shard')} of `{key}: {pattern}` not there, the first is "
            f"{missing[0]}",
            remedy=f"copy what is missing, or correct `{key}`{hint}",
        )
    if not found:
        raise DataError(f"nothing in {base} matches `{key}: {pattern}`", remedy=f"correct `{key}`")
    return tuple(dict.fromkeys(found))


def _lying(base: Path, used: set[Path]) -> dict[str, tuple[Path, ...]]:
    """By split; under an empty name those that say none."""
    files = [path for depth in ("*.tar", "*/*.tar") for path in base.glob(depth)]
    found: dict[str, list[Path]] = {}
    for path in sorted(files):
        parts = path.relative_to(base).parts
        if path not in used and path.is_file() and not any(part.startswith(".") for part in parts):
            found.setdefault(_split_of(path, parts), []).append(path)
    return {split: tuple(paths) for split, paths in found.items()}


def _split_of(path: Path, parts: Sequence[str]) -> str:
    for part in reversed(parts):
        words = set(re.split(r"[^a-z]+", part.casefold()))
        splits = [split for split, names in NAMES.items() if words & set(names)]
        if len(splits) > 1:
            raise DataError(
                f"{path} is named after two splits: {listed(splits)}",
                remedy="say which shards are which: data.train_shards, data.validation_shards, "
                "data.test_shards",
            )
        if splits:
            return splits[0]
    return ""


def _class_names(base: Path) -> tuple[str, ...] | None:
    file = base / CLASS_FILE
    if not file.is_file():
        return None
    try:
        names = tuple(line.strip() for line in file.read_text("utf-8-sig").splitlines())
    except (OSError, UnicodeError) as error:
        raise DataError(f"cannot read {file}: {error}", remedy="save it as UTF-8") from error
    for number, name in enumerate(names, start=1):
        if not name or name in names[: number - 1]:
            what = f"the class '{name}' a second time" if name else "no class"
            raise DataError(f"{file}:{number}: {what}", remedy="write each class once, one a line")
    return names


def _no_shards(base: Path, lying: Mapping[str, Sequence[Path]]) -> DataError:
    others = [path.name for paths in lying.values() for path in paths]
    if others:
        return DataError(
            f"no shards in {base} are for training; there are {listed(others)}",
            remedy="say which do: -s 'data.train_shards=NAME-{0000..0009}.tar'",
        )
    packed = next((path for end in ("*.tar.*", "*.tgz") for path in base.glob(end)), None)
    if packed is not None:
        return DataError(
            f"the shards in {base} are compressed ({packed.name}), so no image in them can be read "
            "by itself",
            remedy="unpack the tar files (gunzip, unzstd, ...)",
        )
    return DataError(
        f"there are no tar files in {base}",
        remedy="`cnntrain data shards FILE --out FOLDER` writes some from a folder of images; for "
        "the folder itself set data.name: image_folder",
    )


def _refuse_twice(splits: Mapping[str, Sequence[Path]]) -> None:
    first: dict[Path, str] = {}
    for split, paths in splits.items():
        for path in paths:
            if first.setdefault(path.resolve(), split) != split:
                raise DataError(
                    f"the shard {path} is of {first[path.resolve()]} and of {split}",
                    remedy=f"correct data.{split}_shards",
                )
