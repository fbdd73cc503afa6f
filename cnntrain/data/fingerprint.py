"""Which data a run learns from: what a resume compares of the files or the pixels."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch

from cnntrain.data.decode import in_threads
from cnntrain.data.path_list import PathList
from cnntrain.data.splits import Files, Part, Pixels, Splits
from cnntrain.tasks.targets import Targets

Fingerprint: TypeAlias = Literal["names", "content", "off"]
Row: TypeAlias = tuple[str, ...]
"""Of a file: name below the split's folder, bytes, target, and hash of its content where wanted."""

_AT_ONCE = 500  # files for one thread
_MOST = 2**30  # bytes of a list; more is no list of files


def take_fingerprint(splits: Splits, kind: Fingerprint) -> dict[str, Any]:
    """Plain values for a checkpoint: of each split, what `changes` compares.

    Images in memory are hashed, about 1 s a gigabyte. Of files the names, sizes and classes are
    kept, compressed to a few bytes each; none is opened, unless their content is wanted.

    Args:
        splits: the data, in order.
        kind: `names`, `content`, or `off`: then there are no values.
    """
    if kind == "off":
        return {}
    return {name: _of_part(part, splits.targets, kind) for name, part in splits.parts.items()}


def changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two fingerprints, a sentence for each split; empty if nothing does."""
    return [
        f"{name}: {found}"
        for name in dict.fromkeys([*then, *now])
        if (found := _difference(then.get(name), now.get(name)))
    ]


def _of_part(part: Part, targets: Targets, kind: Fingerprint) -> dict[str, Any]:
    if isinstance(part, Pixels):
        return {"pixels": _hash(part.images), "labels": _hash(part.targets)}
    rows = "\n".join("\t".join(row) for row in _rows(part, targets, kind))
    packed = zlib.compress(rows.encode("utf-8", "surrogateescape"))
    return {"files": torch.frombuffer(bytearray(packed), dtype=torch.uint8)}


def _rows(part: Files, targets: Targets, kind: Fingerprint) -> list[Row]:
    paths = PathList(part.paths)
    names = paths.texts
    folder = os.path.commonpath({os.path.dirname(name) for name in names}) if names else ""  # noqa: PTH120
    start = len(folder.rstrip(os.sep)) + 1
    chunks = [paths[at : at + _AT_ONCE] for at in range(0, len(names), _AT_ONCE)]
    measure = _contents if kind == "content" else _sizes
    measured = [facts for chunk in in_threads(measure, chunks) for facts in chunk]
    labels = targets.say_all(part.targets)
    return [
        (_one_line(name[start:]), facts[0], _one_line(label), *facts[1:])
        for name, facts, label in zip(names, measured, labels, strict=True)
    ]


def _sizes(paths: PathList) -> list[Row]:
    # where there is no file, whoever reads the image reports it
    return [("?" if found is None else str(found[0]),) for found in paths.facts()]


def _contents(paths: PathList) -> list[Row]:
    return [(*size, _content(path)) for size, path in zip(_sizes(paths), paths, strict=True)]


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()
    except OSError:
        return "?"


def _one_line(text: str) -> str:
    return text.replace("\t", " ").replace("\n", " ")


def _hash(values: torch.Tensor) -> str:
    return hashlib.blake2b(values.contiguous().numpy().data, digest_size=16).hexdigest()


def _difference(then: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> str:
    if then is None or now is None:
        return "there was no such split" if then is None else "the split is gone"
    if then.keys() != now.keys():
        return "the images are stored in another way"
    if "files" in then:
        return _in_files(_unpacked(then["files"]), _unpacked(now["files"]))
    found = [name for name in ("pixels", "labels") if then[name] != now[name]]
    return f"other {' and '.join(found)}" if found else ""


def _unpacked(packed: torch.Tensor) -> list[Row]:
    raw = zlib.decompressobj().decompress(packed.numpy().tobytes(), _MOST)
    text = raw.decode("utf-8", "surrogateescape")
    return [tuple(line.split("\t")) for line in text.split("\n")]


def _in_files(then: list[Row], now: list[Row]) -> str:
    """The first file that differs, in words, and how many do."""
    length = min(len(then[0]), len(now[0]))  # the content is compared where both have it
    then, now = ([row[:length] for row in rows] for rows in (then, now))
    if then == now:
        return ""
    before, after = ({row[0]: row[1:] for row in rows} for rows in (then, now))
    names = [n for n in dict.fromkeys([*before, *after]) if before.get(n) != after.get(n)]
    if not names:
        return "the files come in another order"
    moved = {(name.rpartition("/")[2], after[name][0]): after[name][1] for name in names
             if name not in before}  # fmt: skip
    count = max(sum(name in rows for name in names) for rows in (before, after))
    how_many = "1 file differs" if count == 1 else f"{count:,} files differ"
    return f"{_in_words(names[0], before, after, moved)}; {how_many}"


def _in_words(
    name: str,
    before: Mapping[str, Row],
    after: Mapping[str, Row],
    moved: Mapping[tuple[str, str], str],
) -> str:
    if name not in before:
        return f"{name} is new"
    size, label, *_ = before[name]
    if name not in after:
        to = moved.get((name.rpartition("/")[2], size))
        return f"{name} is gone" if to is None else f"{name} is of {to} now"
    if after[name][1] != label:
        return f"{name} is of {after[name][1]} now"
    if after[name][0] != size:
        return f"{name} has {after[name][0]} bytes instead of {size}"
    return f"{name} has other content"
