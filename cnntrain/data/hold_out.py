"""Holding validation and test images out of the training images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from cnntrain.data.metadata import USUAL_SHARE, Fold, Holdout
from cnntrain.data.set_apart import set_apart
from cnntrain.data.splits import Division, Splits
from cnntrain.data.stratify import (
    Positions,
    count_of,
    grouped_fold,
    grouped_split,
    stratified_fold,
    stratified_split,
)
from cnntrain.show.words import counted


def hold_out(splits: Splits, holdout: Holdout, *, name: str) -> Splits:
    """The splits with validation and test images held out of the training images, if asked for.

    The test images are chosen first, so that all folds have the same ones. Fractions are of all
    images that the training split has before, without those of classes that are set apart.

    Raises:
        ValueError: the data set `name` has such a split of its own, or too few images for one.
    """
    rest, held = torch.arange(len(splits.train)), dict[str, Tensor]()
    if holdout.validation_classes or holdout.test_classes:
        splits, rest, held = set_apart(splits, holdout)
    wanted: dict[str, float | int | Fold] = {}
    if holdout.test is not None:
        wanted["test"] = holdout.test
    if holdout.validation is False:
        splits = replace(splits, validation=None)
    elif holdout.validation is not None:
        wanted["validation"] = holdout.validation
    elif splits.undivided and not holdout.validation_classes:
        wanted["validation"] = USUAL_SHARE
    if not wanted and len(rest) == len(splits.train):
        return _limited(splits, holdout)
    total = len(rest)
    for split, share in wanted.items():
        _refuse_own(splits, split, by_folds=isinstance(share, Fold), name=name)
    for split, share in wanted.items():
        if not isinstance(share, Fold):
            share = count_of(share, total, split=split)
        stay, out = _chosen(splits, rest, share, split=split, seed=holdout.seed)
        rest, held[split] = rest[stay], rest[out]
    positions = {"train": rest} | {k: held[k] for k in ("validation", "test") if k in held}
    parts = {split: splits.train.select(found) for split, found in positions.items()}
    notes = [_note(splits, positions, holdout)] if wanted else []
    division = Division(positions, parts, replace(splits, train=parts["train"]).targets)
    held_out = replace(
        splits,
        train=parts["train"],
        validation=parts.get("validation", splits.validation),
        test=parts.get("test", splits.test),
        notes=(*splits.notes, *notes),
        groups=None,
        division=division if held else None,
    )
    return _limited(held_out, holdout)


def _limited(splits: Splits, holdout: Holdout) -> Splits:
    """The splits with some of the training images only, if that is asked for.

    Raises:
        ValueError: there are no more than asked for.
    """
    if holdout.train is None:
        return splits
    whole = len(splits.train)
    count = count_of(holdout.train, whole, split="train")
    if count >= whole:
        raise ValueError(
            f"data.split.train asks for {count:,} of {whole:,} training images; "
            "lower it, or remove it to train on all"
        )
    alone = replace(splits, groups=None)
    _, used = _chosen(alone, torch.arange(whole), count, split="train", seed=holdout.seed)
    part, division = splits.train.select(used), splits.division
    if division is not None:
        positions = {**division.positions, "train": division.positions["train"][used]}
        division = replace(division, positions=positions, parts={**division.parts, "train": part})
    note = f"training on {count:,} of {whole:,} images (`data.split.train`, seed {holdout.seed})"
    return replace(
        alone, train=part, whole_train=splits.train, division=division, notes=(*splits.notes, note)
    )


def _chosen(splits: Splits, rest: Tensor, share: int | Fold, *, split: str, seed: int) -> Positions:
    """Among the positions `rest`."""
    targets, classes = splits.train.targets[rest], len(splits.classes)
    if targets.ndim > 1:  # no classes to be held out in proportion
        targets, classes = torch.zeros(len(rest), dtype=torch.int64), 1
    groups = None if splits.groups is None else splits.groups[rest]
    if isinstance(share, Fold):
        fold = {"number": share.number, "of": share.of, "num_classes": classes, "seed": seed}
        if groups is not None:
            return grouped_fold(targets, groups, **fold)
        return stratified_fold(targets, **fold)
    if groups is not None:
        return grouped_split(targets, groups, held_out=share, num_classes=classes, seed=seed,
                             split=split)  # fmt: skip
    return stratified_split(targets, held_out=share, num_classes=classes, seed=seed, split=split)


def _refuse_own(splits: Splits, split: str, *, by_folds: bool, name: str) -> None:
    own = splits.parts.get(split)
    if own is None:
        return
    start = "--folds splits the training images, but " if by_folds else ""
    use = "leave out --folds" if by_folds else f"remove `data.split.{split}`"
    raise ValueError(
        f"{start}the data set '{name}' has a {split} split of its own ({len(own)} images): {use} "
        f"to use it; to leave it out of an image_folder, set `data.{split}_folder: false`, of a "
        f"webdataset `data.{split}_shards: false`"
    )


def _note(splits: Splits, positions: Mapping[str, Tensor], holdout: Holdout) -> str:
    counts = ", ".join(f"{len(found):,} {split}" for split, found in positions.items())
    how = f"{'by class' if splits.form == 'classes' else 'at random'}, seed {holdout.seed}"
    if splits.groups is not None:
        how += f", {counted(int(splits.groups.max()) + 1, 'group')} kept whole"
    if holdout.validation is None and splits.undivided:
        return f"the images are in no splits, so some are held out: {counts} ({how}; `data.split`)"
    return f"split: {counts} ({how})"
