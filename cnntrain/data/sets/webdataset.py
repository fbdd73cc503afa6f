"""Images in tar files: WebDataset's shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from cnntrain.core.errors import DataError
from cnntrain.core.kinds import Bits, ClassList
from cnntrain.core.problems import suggestion
from cnntrain.data import dataset
from cnntrain.data.labelled import unreadable as unreadable_files
from cnntrain.data.labelled_files import in_order
from cnntrain.data.left_out import LeftOut
from cnntrain.data.members import forget_open_files
from cnntrain.data.path_list import PathList
from cnntrain.data.shards import CLASS_FILE, find_shards
from cnntrain.data.splits import Files, Splits
from cnntrain.data.tar_index import SampleForm, TarSample, place_in_order, samples_of


@dataset(
    "webdataset",
    classes="$classes",
    channels="$channels",
    look="cnntrain.data.shards:look_at_shards",
)
def webdataset(  # noqa: PLR0913  # one keyword for each key of the run file
    *,
    root: str,
    train_shards: str | None = None,
    validation_shards: str | Literal[False] | None = None,
    test_shards: str | Literal[False] | None = None,
    image_member: str | None = None,
    label_member: str | None = None,
    label_key: str = "label",
    classes: ClassList | None = None,
    channels: Literal[1, 3] = 3,
    bits: Bits = "auto",
    unreadable: Literal["error", "skip"] = "error",
) -> Splits:
    """Tar files of images and labels, in WebDataset's form: `dog/01.jpg` next to `dog/01.cls`.

    `cnntrain data shards FILE --out FOLDER` writes them. Each image is read where it lies, in any
    order, so shuffling and resuming are as with a folder; nothing is unpacked. The images are in
    the order of their names, whatever shard they are in.

    A label is a name, or a number from 0: a line of `classes.txt` beside the shards, or else a
    position in `classes`. Numbers without either are names themselves.

    Args:
        root: the folder of the shards; where it has a `classes.txt`, those are the classes.
        train_shards: names of the shards below `root`, such as `train-{0000..0146}.tar` or `*`;
            if null, those with the word `train` in the name of the file or its folder, or all if
            no split is named.
        validation_shards: the same for validation, `val` or `validation`; false for none.
        test_shards: the same for the test images, `test`; false for none.
        image_member: what follows the first dot in the names of images, such as `left.jpg`; if
            null, the suffix of an image.
        label_member: what follows the first dot in the names of labels; if null, `cls`, or else
            `json`.
        label_key: of the label in a `json`.
        classes: the class list, in this order; if null, that of `classes.txt`, or the labels in
            alphabetical order.
        channels: 3 for RGB, 1 for grey; all images are converted.
        bits: as for `image_folder`.
        unreadable: as for `image_folder`.
    """
    forget_open_files()
    given = {"train": train_shards, "validation": validation_shards, "test": test_shards}
    shards = find_shards(root, given)
    form = SampleForm(image_member, label_member, label_key)
    samples = {split: _sorted(paths, form) for split, paths in shards.splits.items()}
    every = {sample.label: sample for found in samples.values() for sample in reversed(found)}
    names = _Names(shards.classes or classes, f"{root}/{CLASS_FILE}" if shards.classes else "")
    called = {label: names.of(sample) for label, sample in every.items()}
    known = classes or shards.classes or in_order(set(called.values()))
    targets = {label: _target(name, known, every[label]) for label, name in called.items()}
    parts: dict[str, Files] = {}
    left_out: list[LeftOut] = []
    for split, found in samples.items():
        numbers = torch.tensor([targets[sample.label] for sample in found], dtype=torch.int64)
        part = Files(PathList(sample.entry for sample in found), numbers, channels, bits)
        if unreadable == "skip" and (skipped := unreadable_files(part.paths, channels, bits)):
            bad = {item.path for item in skipped}
            kept = [at for at, path in enumerate(part.paths) if path not in bad]
            part = part.select(torch.tensor(kept, dtype=torch.int64))
            left_out += (item._replace(split=split) for item in skipped)
        parts[split] = part
    counts = {split: part.targets.bincount(minlength=len(known)) for split, part in parts.items()}
    _refuse_untrainable(counts, known, root)
    return Splits(
        known,
        parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        notes=shards.notes,
        left_out=tuple(left_out),
        undivided=shards.undivided,
    )


@dataclass(frozen=True)
class _Names:
    """What the numbers of labels stand for; `file` is where that is said, if it is one."""

    names: tuple[str, ...] | None
    file: str

    def of(self, sample: TarSample) -> str:
        if self.names is None:
            return sample.label
        where = self.file or "data.classes"
        if sample.label.lstrip("-").isdecimal():
            if 0 <= int(sample.label) < len(self.names):
                return self.names[int(sample.label)]
            raise DataError(
                f"{_name(sample)}: there is no class {sample.label}: {where} has "
                f"{len(self.names):,}, from 0 to {len(self.names) - 1:,}",
                remedy=f"correct the label, or complete {where}",
            )
        if sample.label not in self.names:
            raise DataError(
                f"{_name(sample)}: the class '{sample.label}' is not in {where}",
                remedy=suggestion(sample.label, self.names),
            )
        return sample.label


def _name(sample: TarSample) -> str:
    return PathList([sample.entry]).texts[0]


def _sorted(shards: Sequence[Path], form: SampleForm) -> list[TarSample]:
    """By the names of the images, whatever shard they are in.

    So the same images are in the same order however they are distributed, and however shuffled.
    """
    found = [sample for shard in shards for sample in samples_of(shard, form)]
    return sorted(found, key=lambda sample: place_in_order(sample.entry.split("\0")[1]))


def _target(name: str, classes: tuple[str, ...], sample: TarSample) -> int:
    if name not in classes:
        raise DataError(
            f"{_name(sample)}: the class '{name}' is not in `data.classes`",
            remedy=suggestion(name, classes),
        )
    return classes.index(name)


def _refuse_untrainable(counts: Mapping[str, Tensor], classes: tuple[str, ...], root: str) -> None:
    for split, found in counts.items():
        if not int(found.sum()):
            message = f"there are no images in the {split} shards in {root}"
            raise DataError(message, remedy="check `data.root`")
    if len(classes) < 2:
        raise DataError(
            f"there is only one class in {root}, '{', '.join(classes)}'",
            remedy="a classifier needs at least two",
        )
    if 0 in (train := counts["train"].tolist()):
        raise DataError(
            f"the class '{classes[train.index(0)]}' has no training image in {root}",
            remedy="add some, or leave the class out",
        )
