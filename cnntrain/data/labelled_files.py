"""Images with their labels or numbers, as tables and names of files give them. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnntrain.core.errors import DataError
from cnntrain.core.problems import suggestion
from cnntrain.core.target_forms import TargetForm
from cnntrain.data.metadata import Stated
from cnntrain.data.misplaced import ALL_NAMES, NAMES


@dataclass(frozen=True)
class LabelledFile:
    """One image: its file, label, split and group, and where that is said.

    Of several labels `labels` has them, of numbers `numbers`; `label` is empty then.
    """

    path: Path
    label: str
    where: str
    split: str = "train"
    group: str = ""
    labels: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()


def class_names(rows: Sequence[LabelledFile]) -> tuple[str, ...]:
    """The labels in alphabetical order, or by their value if all are numbers."""
    return in_order({label for row in rows for label in (row.labels or (row.label,)) if label})


def in_order(labels: Collection[str]) -> tuple[str, ...]:
    """Names in alphabetical order, or by their value if all are numbers."""
    if all(label.isdecimal() for label in labels):
        return tuple(sorted(labels, key=lambda label: (int(label), label)))
    return tuple(sorted(labels))


def split_name(text: str, *, where: str) -> str:
    """`train`, `validation` or `test` for one of the usual names."""
    for split, names in NAMES.items():
        if text.casefold() in names:
            return split
    raise DataError(f"{where}: there is no split '{text}'", remedy=suggestion(text, ALL_NAMES))


def stated(
    rows: Sequence[LabelledFile],
    parameters: Mapping[str, Any],
    *,
    names: Sequence[str] = (),
    form: TargetForm = "classes",
) -> Stated:
    """What rows say of a data set; `names` are those that a table has in its first line."""
    splits = {row.split for row in rows}
    known = tuple(parameters.get("classes") or names or class_names(rows))
    return Stated(known, "validation" in splits, undivided=splits == {"train"}, form=form)
