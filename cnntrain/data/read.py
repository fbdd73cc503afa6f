"""Reading a data set into its splits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from cnntrain.core.errors import ConfigError, DataError
from cnntrain.core.escapes import breaks_lines
from cnntrain.core.problems import Place
from cnntrain.data import DATASETS
from cnntrain.data.hold_out import hold_out
from cnntrain.data.metadata import AS_IT_IS, Holdout
from cnntrain.data.splits import Splits


def open_splits(name: str, *, parameters: Mapping[str, Any], holdout: Holdout = AS_IT_IS) -> Splits:
    """The splits of a data set, with the images held out that are asked for.

    Raises:
        ValueError: the data set already has such a split, or too few images for one.
    """
    splits = DATASETS.load(name)(**parameters)
    if not isinstance(splits, Splits):
        entry = DATASETS.entry(name)
        message = f"the data set '{name}' returned a {type(splits).__name__}, not Splits"
        remedy = "return cnntrain.data.splits.Splits(classes=..., train=Pixels(images, targets))"
        raise ConfigError(message, remedy=remedy, place=Place(str(entry.file), entry.line, 1))
    for label in splits.classes:
        if breaks_lines(label):
            raise DataError(
                f"the name of the class '{label}' has a control character",
                remedy="rename it: the class list has one name a line",
            )
    return hold_out(splits, holdout, name=name)


def class_counts(splits: Splits) -> dict[str, tuple[int, ...]]:
    """Images per class of each split that there is."""
    return {
        name: tuple(torch.bincount(part.targets, minlength=len(splits.classes)).tolist())
        for name, part in splits.parts.items()
    }
