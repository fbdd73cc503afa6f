"""Reading a data set into its splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Place
from cnntrain.data import DATASETS
from cnntrain.data.held_out import Fold, HeldOut
from cnntrain.data.split import stratified_fold, stratified_split
from cnntrain.data.splits import Splits


def open_splits(
    name: str, *, parameters: Mapping[str, Any], validation: HeldOut, seed: int
) -> Splits:
    """The splits of a data set, validation split off where that is asked for.

    Raises:
        ValueError: the data set has a validation split already, or too few images for one.
    """
    splits = DATASETS.load(name)(**parameters)
    if not isinstance(splits, Splits):
        entry = DATASETS.entry(name)
        message = f"the data set '{name}' returned a {type(splits).__name__}, not Splits"
        remedy = "return cnntrain.data.splits.Splits(classes=..., train=Pixels(images, targets))"
        raise ConfigError(message, remedy=remedy, place=Place(str(entry.file), entry.line, 1))
    if validation is None:
        return splits
    if splits.validation is not None:
        raise ValueError(
            f"the data set '{name}' has a validation split of its own "
            f"({len(splits.validation)} images): {_OWN_SPLIT}"
        )
    targets, classes = splits.train.targets, len(splits.classes)
    if isinstance(validation, Fold):
        number, of = validation.number, validation.of
        stay, held = stratified_fold(targets, number=number, of=of, num_classes=classes, seed=seed)
    else:
        stay, held = stratified_split(targets, held_out=validation, num_classes=classes, seed=seed)
    return replace(splits, train=splits.train.select(stay), validation=splits.train.select(held))


_OWN_SPLIT = (
    "remove `data.validation` (or --folds) to use it; to leave it out of an image_folder, set "
    "`data.validation_folder: false`"
)


def class_counts(splits: Splits) -> dict[str, tuple[int, ...]]:
    """Images per class of each split that there is."""
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    return {
        name: tuple(torch.bincount(part.targets, minlength=len(splits.classes)).tolist())
        for name, part in parts.items()
        if part is not None
    }
