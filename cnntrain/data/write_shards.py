"""Writing the images of a data set as WebDataset's shards: the same bytes every time."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path, PurePosixPath

import torch

from cnntrain.core.errors import DataError
from cnntrain.core.escapes import breaks_lines
from cnntrain.core.seeding import derive_seed
from cnntrain.core.whole_folder import filled_whole
from cnntrain.data.decode import SUFFIXES
from cnntrain.data.left_out import image_format
from cnntrain.data.members import Member
from cnntrain.data.path_list import PathList
from cnntrain.data.shards import CLASS_FILE
from cnntrain.data.splits import Files, Splits
from cnntrain.data.tar_index import parts_of, place_in_order

_END = 2 * tarfile.BLOCKSIZE + tarfile.RECORDSIZE
"""Bytes that follow the last member, at most."""


@dataclass(frozen=True)
class Written:
    """Shards and images of each split that were written."""

    shards: dict[str, int]
    images: dict[str, int]


def write_shards(
    splits: Splits,
    folder: Path,
    *,
    most_bytes: int,
    seed: int,
    progress: Callable[[int], object] = lambda images: None,
) -> Written:
    """Write each split as `SPLIT-000000.tar`, ..., and the class names; the folder appears whole.

    The files' bytes are copied as they are. A sample's name is that of its file below the folder
    of the split, so a reader that sorts by names gets the order of the data set. Where it would
    not, because of another order, equal names or several dots, names begin with a number. Training
    samples are shuffled, because other programs read shards from the beginning to the end.

    Args:
        splits: of images in files.
        folder: new or empty.
        most_bytes: of a shard; one with a larger image has that image alone.
        seed: of the order in which training samples are written.
        progress: called with the number of images written since the last call.

    Raises:
        DataError: the images are not in files or have no classes, or one cannot be read or named.
        DiskError: there is no space, or the folder cannot be written; nothing is left of it.
    """
    if splits.form != "classes":
        message = f"shards are written of images that have a class, and these have {splits.form}"
        raise DataError(message, remedy="train from the table")
    files = {split: _files(part, split) for split, part in splits.parts.items()}
    names = {split: _names(part.paths) for split, part in files.items()}
    shards: dict[str, int] = {}
    with filled_whole(folder, needed=sum(map(_bytes, files.values()))) as temporary:
        text = "".join(f"{name}\n" for name in splits.classes)
        (temporary / CLASS_FILE).write_text(text, "utf-8", newline="\n")
        for split, part in files.items():
            order = torch.arange(len(part))
            if split == "train":
                generator = torch.Generator().manual_seed(derive_seed(seed, "shards"))
                order = torch.randperm(len(part), generator=generator)
            samples = _samples(part, names[split], order.tolist())
            start = temporary / split
            shards[split] = _write(start, samples, most_bytes=most_bytes, progress=progress)
    return Written(shards, {split: len(part) for split, part in files.items()})


def _files(part: object, split: str) -> Files:
    if not isinstance(part, Files):
        raise DataError(
            f"the {split} images are no files, so there is nothing to copy into shards",
            remedy="such a data set is read as a whole at once: train on it as it is",
        )
    return part


def _bytes(part: Files) -> int:
    sizes = (0 if found is None else found[0] for found in PathList(part.paths).facts())
    return sum(size + 3 * tarfile.BLOCKSIZE for size in sizes)


def _names(paths: Sequence[Path]) -> list[str]:
    """A name for each image, in increasing order, and unique up to its dot."""
    texts = PathList(paths).texts
    folder = os.path.commonpath({os.path.dirname(text) for text in texts})  # noqa: PTH120
    start = len(folder.rstrip(os.sep)) + 1
    names = [
        path.name_inside if isinstance(path, Member) else text[start:].replace(os.sep, "/")
        for path, text in zip(paths, texts, strict=True)
    ]
    keys = {found[0] for name in names if (found := parts_of(name)) and _ends_as_image(found[1])}
    rises = all(place_in_order(a) < place_in_order(b) for a, b in pairwise(names))
    if len(keys) == len(names) and rises and not any(map(breaks_lines, names)):
        return names
    return [
        f"{number:08}/{_cleaned(name, path)}"
        for number, (name, path) in enumerate(zip(names, paths, strict=True))
    ]


def _ends_as_image(kind: str) -> bool:
    return f".{kind}" in SUFFIXES


def _cleaned(name: str, path: Path) -> str:
    """A name with one dot and without anything that a reader may refuse."""
    suffix = path.suffix
    if not _ends_as_image(suffix[1:].lower()):
        suffix = f".{image_format(path).lower()}"
        if not _ends_as_image(suffix[1:]):
            raise DataError(
                f"the name of {path} does not end as that of an image",
                remedy="end it in one of " + " ".join(sorted(SUFFIXES)),
            )
    *folders, last = PurePosixPath(name).with_suffix("").parts
    safe = ["-" if part == ".." else part for part in folders if part != "/"]
    text = "/".join([*safe, last.replace(".", "-") + suffix])
    return "".join(letter if not breaks_lines(letter) else "-" for letter in text)


def _samples(
    part: Files, names: Sequence[str], order: Sequence[int]
) -> Iterator[list[tuple[tarfile.TarInfo, bytes]]]:
    """The members of each sample: the image's file as it is, and the number of its class."""
    targets = part.targets.tolist()
    for index in order:
        path, name = part.paths[index], names[index]
        found = parts_of(name)
        assert found is not None
        try:
            image = path.read_bytes()
        except OSError as error:
            raise DataError(
                f"cannot read {path}: {error.strerror}", remedy="repair it, and repeat the command"
            ) from error
        label = str(targets[index]).encode()
        yield [_member(name, image), _member(f"{found[0]}.cls", label)]


def _member(name: str, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    """Without time and owner, which would differ from one writing to the next."""
    header = tarfile.TarInfo(name)
    header.size = len(content)
    return header, content


def _write(
    start: Path,
    samples: Iterator[list[tuple[tarfile.TarInfo, bytes]]],
    *,
    most_bytes: int,
    progress: Callable[[int], object],
) -> int:
    """Write `START-000000.tar` and so on; returns how many."""
    shards = room = 0
    with ExitStack() as opened:
        for sample in samples:
            needed = sum(_taken(*member) for member in sample)
            if shards == 0 or needed > room:
                opened.close()
                path = start.with_name(f"{start.name}-{shards:06}.tar")
                tar = opened.enter_context(
                    tarfile.open(path, "x", format=tarfile.GNU_FORMAT, encoding="utf-8")
                )
                shards, room = shards + 1, most_bytes - _END
            for header, content in sample:
                tar.addfile(header, BytesIO(content))
            room -= needed
            progress(1)
    return shards


def _taken(header: tarfile.TarInfo, content: bytes) -> int:
    blocks = -(-len(content) // tarfile.BLOCKSIZE)
    return len(header.tobuf(tarfile.GNU_FORMAT, "utf-8")) + blocks * tarfile.BLOCKSIZE
