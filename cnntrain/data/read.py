"""Reading a data set into its splits, and splitting validation images off the training images."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from cnntrain.core.errors import ConfigError, DataError
from cnntrain.core.problems import Place
from cnntrain.core.seeding import derive_seed
from cnntrain.data import DATASETS
from cnntrain.data.metadata import Fold, HeldOut
from cnntrain.data.splits import Splits
from cnntrain.show.words import escaped

_BREAKING = ("Cc", "Cs", "Zl", "Zp")
"""Kinds of characters that no line of classes.txt can have: controls, no text, line ends."""


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
    for label in splits.classes:
        if any(unicodedata.category(letter) in _BREAKING for letter in label):
            raise DataError(
                f"the name of the class '{escaped(label)}' has a control character",
                remedy="rename it: the class list has one name a line",
            )
    if validation is None:
        return splits
    if splits.validation is not None:
        by_folds = isinstance(validation, Fold)
        start = "--folds splits the training images, but " if by_folds else ""
        use = "leave out --folds" if by_folds else "remove `data.validation`"
        raise ValueError(
            f"{start}the data set '{name}' has a validation split of its own "
            f"({len(splits.validation)} images): {use} to use it; to leave it out of an "
            "image_folder, set `data.validation_folder: false`"
        )
    targets, classes = splits.train.targets, len(splits.classes)
    if isinstance(validation, Fold):
        number, of = validation.number, validation.of
        stay, held = stratified_fold(targets, number=number, of=of, num_classes=classes, seed=seed)
    else:
        stay, held = stratified_split(targets, held_out=validation, num_classes=classes, seed=seed)
    return replace(splits, train=splits.train.select(stay), validation=splits.train.select(held))


def class_counts(splits: Splits) -> dict[str, tuple[int, ...]]:
    """Images per class of each split that there is."""
    return {
        name: tuple(torch.bincount(part.targets, minlength=len(splits.classes)).tolist())
        for name, part in splits.parts.items()
    }


def stratified_split(
    targets: Tensor, *, held_out: int | float, num_classes: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Positions of the images that stay and of those held out, both in ascending order.

    Each class is held out in proportion to its size (largest remainders get the images that
    rounding leaves over), and keeps at least one image for training.

    Args:
        targets: `(N,)` int64 classes.
        held_out: a count of images (int), or a fraction of them (float below 1).
        num_classes: classes, of which some may have no image.
        seed: decides which images of each class are held out.

    Raises:
        ValueError: that many images cannot be held out.
    """
    total = len(targets)
    wanted = round(held_out * total) if isinstance(held_out, float) else held_out
    if isinstance(held_out, float) and not 0 < held_out < 1:
        raise ValueError(f"a fraction for validation lies between 0 and 1, not {held_out}")
    if wanted < 1:
        raise ValueError(f"validation: {held_out} of {total} training images is not one image")
    counts = torch.bincount(targets, minlength=num_classes)
    room = int((counts - 1).clamp(min=0).sum())
    if wanted > room:
        raise ValueError(
            f"validation: {wanted} images cannot be held out of {total}; "
            f"{room} is the most that leaves one image of each class for training"
        )
    held = torch.zeros(total, dtype=torch.bool)
    for number, share in enumerate(_allocate(counts, wanted)):
        members = (targets == number).nonzero().flatten()
        generator = torch.Generator().manual_seed(derive_seed(seed, "validation", number))
        held[members[torch.randperm(len(members), generator=generator)[:share]]] = True
    return (~held).nonzero().flatten(), held.nonzero().flatten()


def stratified_fold(
    targets: Tensor, *, number: int, of: int, num_classes: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Positions of the images outside of and in one of `of` folds, both in ascending order.

    The images, sorted by class and within a class at random, are dealt to the folds in turn: so
    each image is in one fold, the folds' sizes differ by one image at the most, and so do any
    class's shares of them.

    Args:
        targets: `(N,)` int64 classes.
        number: of the fold, from 1.
        of: folds, 2 or more.
        num_classes: classes, of which some may have no image.
        seed: decides which images of a class come into which fold.

    Raises:
        ValueError: there are more folds than images, or one would take a class's only image.
    """
    assert 1 <= number <= of >= 2
    if of > len(targets):
        raise ValueError(f"{of} folds cannot be made of {len(targets)} training images")
    counts = torch.bincount(targets, minlength=num_classes)
    if (counts == 1).any():
        raise ValueError(
            f"class {int((counts == 1).nonzero()[0])} has only one training image, so the fold "
            "that holds it would be learnt without it; add images, or leave the class out"
        )
    generator = torch.Generator().manual_seed(derive_seed(seed, "folds"))
    shuffled = torch.randperm(len(targets), generator=generator)
    by_class = shuffled[targets[shuffled].argsort(stable=True)]
    held = torch.zeros(len(targets), dtype=torch.bool)
    held[by_class[number - 1 :: of]] = True
    return (~held).nonzero().flatten(), held.nonzero().flatten()


def _allocate(counts: Tensor, wanted: int) -> list[int]:
    """Images to hold out of each class: proportional, in whole images, summing to `wanted`."""
    sizes = counts.tolist()
    total = sum(sizes)
    shares = [min(size * wanted // total, max(size - 1, 0)) for size in sizes]
    remainders = [size * wanted % total for size in sizes]
    order = sorted(range(len(sizes)), key=lambda number: (-remainders[number], number))
    while sum(shares) < wanted:
        for number in order:
            if sum(shares) < wanted and shares[number] < sizes[number] - 1:
                shares[number] += 1
    return shares
