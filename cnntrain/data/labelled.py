"""From image files with labels or numbers to splits: what tables and names of files share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from cnntrain.core.errors import DataError
from cnntrain.core.kinds import Bits
from cnntrain.core.problems import suggestion
from cnntrain.core.target_forms import TargetForm
from cnntrain.data.decode import UnreadableImageError, decode, in_threads
from cnntrain.data.labelled_files import LabelledFile, class_names
from cnntrain.data.left_out import UNREADABLE, LeftOut
from cnntrain.data.splits import Files, Splits
from cnntrain.tasks.targets import Targets, several


@dataclass(frozen=True)
class Reading:
    """How the files are read.

    Args:
        classes: the class list, in this order; the labels in alphabetical order if None.
        channels: 1 or 3.
        bits: as in `Files`.
        skips: leave out the files that cannot be read.
        forms: of the targets.
        labels: those that have a column each; none: those that occur.
        numbers: their names.
    """

    classes: tuple[str, ...] | None
    channels: int
    bits: Bits
    skips: bool
    forms: tuple[TargetForm, ...] = ("classes",)
    labels: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()

    @property
    def first(self) -> TargetForm:
        """Numbers only where there is nothing else."""
        return self.forms[0]


def labelled(
    rows: Sequence[LabelledFile],
    reading: Reading,
    *,
    notes: Sequence[str],
    left_out: Sequence[LeftOut],
) -> Splits:
    """The splits of files that each have a label, or several, or numbers.

    Where no row is of validation or test the set is undivided. A group that is in two splits, a
    class without training images and a label that is not among the classes are errors.
    """
    names = _checked_names(rows, reading)
    skipped = (
        unreadable([row.path for row in rows], reading.channels, reading.bits)
        if reading.skips
        else ()
    )
    bad = {item.path for item in skipped}
    kept = [row for row in rows if row.path not in bad]
    _refuse_torn_groups(kept)
    parts: dict[str, Files] = {}
    for split in ("train", "validation", "test"):
        if theirs := [row for row in kept if row.split == split]:
            targets = _targets(theirs, names, reading)
            paths = tuple(row.path for row in theirs)
            parts[split] = Files(paths, targets, reading.channels, reading.bits)
    if "train" not in parts:
        raise DataError("there are no training images", remedy="name some in the split train")
    is_several = len(reading.forms) > 1
    own = tuple((form, reading.numbers if form == "numbers" else names) for form in reading.forms)
    described = several([Targets(*part) for part in own]) if is_several else Targets(*own[0])
    names = described.names
    counts = described.counts(parts["train"].targets)
    if 0 in counts:
        what = "label" if reading.first == "labels" else "class"
        raise DataError(
            f"the {what} '{names[counts.index(0)]}' has no training image",
            remedy=f"add some, or leave the {what} out",
        )
    return Splits(
        names,
        parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        notes=tuple(notes),
        left_out=(*left_out, *skipped),
        groups=_numbers([row.group for row in kept if row.split == "train"]),
        undivided=len(parts) == 1,
        form=described.form,
        forms=own if is_several else (),
    )


def _targets(rows: Sequence[LabelledFile], names: Sequence[str], reading: Reading) -> torch.Tensor:
    """Of one form, or of labels, or a class, with numbers behind them."""
    places = {name: number for number, name in enumerate(names)}
    numbers = torch.tensor([row.numbers for row in rows], dtype=torch.float32)
    if reading.first == "numbers":
        return numbers
    if reading.first == "classes":
        targets = torch.tensor([places[row.label] for row in rows], dtype=torch.int64)
    else:
        targets = torch.zeros(len(rows), len(names))
        for target, row in zip(targets, rows, strict=True):
            target[[places[label] for label in row.labels]] = 1
    if len(reading.forms) == 1:
        return targets
    return torch.cat([targets.float().view(len(rows), -1), numbers], dim=1)


def _checked_names(rows: Sequence[LabelledFile], reading: Reading) -> tuple[str, ...]:
    given = reading.classes
    if reading.first == "numbers":
        if given is not None:
            message = "`data.classes` has no effect on numbers, which are called as their columns"
            raise DataError(message, remedy="remove it")
        return reading.numbers
    names = (reading.labels or class_names(rows)) if given is None else given
    if len(set(names)) < len(names):
        raise DataError("`data.classes` names a class twice", remedy="remove one of the two")
    for row in rows:
        for label in row.labels if reading.first == "labels" else (row.label,):
            if label not in names:
                message = f"{row.where}: the label '{label}' is not in `data.classes`"
                raise DataError(message, remedy=suggestion(label, names))
    if not names:
        raise DataError("no image has a label", remedy="label some")
    if len(names) < 2 and reading.first == "classes":
        raise DataError(
            f"there is only one class, '{', '.join(names)}'",
            remedy="a classifier needs at least two",
        )
    return names


def _refuse_torn_groups(rows: Sequence[LabelledFile]) -> None:
    first: dict[str, LabelledFile] = {}
    for row in rows:
        other = first.setdefault(row.group, row)
        if row.group and other.split != row.split:
            raise DataError(
                f"{row.where}: the group '{row.group}' is in {row.split}, and in {other.split} "
                f"({other.where})",
                remedy="keep all images of a group in one split",
            )


def _numbers(groups: Sequence[str]) -> torch.Tensor | None:
    """A number for each group; an image without one is a group of its own."""
    if not any(groups):
        return None
    names = [group or f"\0{index}" for index, group in enumerate(groups)]
    known = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return torch.tensor([known[name] for name in names])


def unreadable(paths: Sequence[Path], channels: int, bits: Bits = "auto") -> tuple[LeftOut, ...]:
    """The images that cannot be read, each with the reason; all of them are tried."""

    def problem(path: Path) -> LeftOut | None:
        try:
            decode(path, channels=channels, bits=bits)
        except UnreadableImageError as error:
            return LeftOut(path, error.reason, UNREADABLE)
        return None

    tried = in_threads(problem, paths, what="looking for images that cannot be read")
    return tuple(found for found in tried if found is not None)
