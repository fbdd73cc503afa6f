"""What is in the tar files of a WebDataset: samples, found once and kept. Imports no torch.

A sample are members in a row whose names are equal up to the first dot of the file name:
`dog/0001.jpg` and `dog/0001.cls`. What follows the dot says what a member is.
"""

from __future__ import annotations

import json
import re
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnntrain.core.errors import DataError
from cnntrain.core.escapes import breaks_lines
from cnntrain.data.cache import cached, listing_key
from cnntrain.data.decode import SUFFIXES
from cnntrain.show.words import listed

_FORMAT = 1
_BLOCK = 512
_LONGEST = 1 << 20
"""Bytes that are read of a label."""
_NAME = re.compile(r"((?:.*/)?[^./][^/.]*)\.([^/]+)", re.DOTALL)
_COMPRESSED = {
    b"\x1f\x8b": "gunzip",
    b"\xfd7z": "unxz",
    b"BZh": "bunzip2",
    b"\x28\xb5\x2f": "unzstd",
}
_COPY = "copy it again, or write it again"


@dataclass(frozen=True)
class SampleForm:
    """What the members of a sample mean.

    Args:
        image: what follows the dot of the image's member, such as `jpg`; None: the suffix of an
            image, if one member has one.
        label: the same of the label's; None: `cls`, or else `json`.
        key: of the label in a member that ends in `json`.
    """

    image: str | None = None
    label: str | None = None
    key: str = "label"


def parts_of(name: str) -> tuple[str, str] | None:
    """What of a member's name says its sample, and what it is there, in small letters."""
    match = _NAME.fullmatch(name)
    return None if match is None else (match[1], match[2].lower())


def place_in_order(name: str) -> str:
    """What names of images are sorted by: part by part, as the paths of a folder are."""
    return name.replace("/", "\0")


class TarSample(NamedTuple):
    """One image of a shard: the entry of its `Member`, and its label, a number or a name."""

    entry: str
    label: str


@dataclass(frozen=True)
class _Found:
    """A member: its name, the parts before and after its dot, and where its content is."""

    name: str
    key: str
    kind: str
    start: int
    size: int


def samples_of(shard: Path, form: SampleForm) -> list[TarSample]:
    """The samples of a tar file, in its order; its headers are read once, and again if it changes.

    Raises:
        DataError: it cannot be read, breaks off, or a sample has not just one image and one label.
    """

    def compute() -> NDArray[np.uint8]:
        text = "\n".join("\t".join(map(str, row)) for row in _rows(shard, form))
        return np.frombuffer(text.encode("utf-8", "surrogateescape"), np.uint8)

    name = f"shards/{listing_key([shard], _FORMAT, form)}.npz"
    found = cached(name, "index", shape=(-1,), dtype=np.uint8, compute=compute)
    lines = found.tobytes().decode("utf-8", "surrogateescape").split("\n")
    rows = (line.split("\t") for line in lines if line)
    return [
        TarSample(f"{shard}\0{name}\0{start}\0{size}", sys.intern(label))
        for name, start, size, label in rows
    ]


def _rows(shard: Path, form: SampleForm) -> Iterator[tuple[str, int, int, str]]:
    """Name, first byte and size of each image, and its label."""
    try:
        with shard.open("rb") as file:
            for key, group in groupby(_members(shard, file), lambda each: each.key):
                sample: dict[str, _Found] = {}
                for each in group:
                    if each.kind in sample:
                        raise _wrong(shard, each.name, "comes twice in its sample", _COPY)
                    sample[each.kind] = each
                where = f"{shard}/{key}"
                image = _image(sample, form, where=where)
                yield image.name, image.start, image.size, _label(file, sample, form, where=where)
    except OSError as error:
        raise DataError(
            f"cannot read the shard {shard}: {error.strerror or error}", remedy="check `data.root`"
        ) from error


def _members(shard: Path, file: BinaryIO) -> Iterator[_Found]:
    """The files in it that have a name with a dot; as WebDataset does, others are passed over."""
    begin = file.read(3)
    file.seek(0)
    for mark, program in _COMPRESSED.items():
        if begin.startswith(mark):
            raise DataError(
                f"{shard} is compressed, so no image in it can be read by itself",
                remedy=f"unpack the tar file: {program} {shard}",
            )
    last = ""
    try:
        with tarfile.open(fileobj=file, mode="r:", errors="surrogateescape") as tar:
            while (header := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # or it keeps a million
                last = header.name
                if found := _found(shard, header):
                    yield found  # whoever takes it may read elsewhere: tarfile seeks each header
            end = tar.offset
    except tarfile.TarError as error:
        raise _broken(shard, last, str(error)) from error
    file.seek(end)
    if file.read(_BLOCK) != bytes(_BLOCK):  # tarfile takes damage for the end
        raise _broken(shard, last, f"no header at byte {end:,}")


def _found(shard: Path, header: tarfile.TarInfo) -> _Found | None:
    if header.isdir():
        return None
    name = header.name.removeprefix("./")
    if not header.isreg() or header.issparse():
        raise _wrong(shard, name, "is not a plain file", "write the shard with the file itself")
    if name.startswith("/") or ".." in name.split("/") or breaks_lines(name):
        raise _wrong(shard, name, "has a name that is no place in a folder", "rename it")
    parts = parts_of(name)
    if parts is None or name.startswith("__"):  # WebDataset's own remarks
        return None
    return _Found(name, *parts, header.offset_data, header.size)


def _image(sample: Mapping[str, _Found], form: SampleForm, *, where: str) -> _Found:
    has = f"it has {listed(list(sample), most=6)}"
    if form.image is not None:
        if (found := sample.get(form.image.lower())) is not None:
            return found
        raise DataError(
            f"{where} has no member .{form.image} ({has})", remedy="correct data.image_member"
        )
    images = [each for kind, each in sample.items() if f".{kind}" in SUFFIXES]
    if len(images) == 1:
        return images[0]
    if images:
        kinds = [each.kind for each in images]
        raise DataError(
            f"{where} has several images: {listed(kinds)}",
            remedy=f"say which is meant: -s data.image_member={kinds[0]}",
        )
    raise DataError(
        f"{where} has no image ({has})",
        remedy="say what its name ends in: -s data.image_member=ENDING",
    )


def _label(file: BinaryIO, sample: Mapping[str, _Found], form: SampleForm, *, where: str) -> str:
    usual: Sequence[str] = ("cls", "json") if form.label is None else (form.label.lower(),)
    found = next((sample[kind] for kind in usual if kind in sample), None)
    if found is None:
        raise DataError(
            f"{where} has no class: no member .{' or .'.join(usual)} (it has "
            f"{listed(list(sample), most=6)})",
            remedy="say what the name of the class's member ends in: -s data.label_member=ENDING",
        )
    file.seek(found.start)
    content = file.read(min(found.size, _LONGEST))
    is_json = found.kind.split(".")[-1] == "json"
    try:
        text = str(_in_json(content, form.key) if is_json else content.decode()).strip()
    except (ValueError, LookupError, TypeError, RecursionError):
        text = ""
    if not text or breaks_lines(text):
        wanted = f"JSON with a number or a name as '{form.key}'" if is_json else "a line of text"
        raise DataError(
            f"{where}.{found.kind} is not {wanted}",
            remedy="correct it, or say where the class is: data.label_member, data.label_key",
        )
    return text


def _in_json(content: bytes, key: str) -> str | int:
    value = json.loads(content)[key]
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError
    return value


def _wrong(shard: Path, name: str, what: str, remedy: str) -> DataError:
    return DataError(f"{shard}: the member {name!r} {what}", remedy=remedy)


def _broken(shard: Path, last: str, reason: str) -> DataError:
    behind = f" after the member '{last}'" if last else ""
    return DataError(f"{shard} is damaged or breaks off{behind}: {reason}", remedy=_COPY)
