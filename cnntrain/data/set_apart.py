"""Classes whose images are only evaluated: what is learnt of others is to hold for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from cnntrain.core.problems import suggestion
from cnntrain.data.metadata import Holdout
from cnntrain.data.splits import Part, Splits
from cnntrain.show.words import listed


def set_apart(splits: Splits, holdout: Holdout) -> tuple[Splits, Tensor, dict[str, Tensor]]:
    """Take the images of such classes out of the training images.

    A split that there is keeps its images of its classes, or those of no class that is set apart;
    one that there is not gets the training images of its classes.

    Returns:
        The splits with all training images, the positions of those that train, and those of each
        split that is made of the others.

    Raises:
        ValueError: there is no such class, or no image of it; it has two splits; a part of the
            images is asked for as well; images belong together; or too few classes are left.
    """
    names = {"validation": holdout.validation_classes, "test": holdout.test_classes}
    asked = {split: _positions(splits, wanted, split) for split, wanted in names.items() if wanted}
    _refuse(splits, holdout, names)
    apart = torch.cat([*asked.values()])
    rest = (~torch.isin(splits.train.targets, apart)).nonzero().flatten()
    if len(torch.unique(splits.train.targets[rest])) < 2:
        raise ValueError(
            f"{listed([*names['validation'], *names['test']])} set apart leave fewer than two "
            "classes to train on; set fewer apart"
        )
    held: dict[str, Tensor] = {}
    made: dict[str, Part | None] = {"validation": splits.validation, "test": splits.test}
    notes = []
    for split, own in made.items():
        if own is None and split in asked:
            chosen = torch.isin(splits.train.targets, asked[split])
            held[split] = chosen.nonzero().flatten()
        elif own is not None:
            chosen = torch.isin(own.targets, asked.get(split, apart))
            chosen = chosen if split in asked else ~chosen
            made[split] = own.select(chosen.nonzero().flatten())
        if split in asked:
            if not chosen.any():
                raise ValueError(
                    f"there is no {split} image of {listed(names[split])}; name others"
                )
            count = int(chosen.sum())
            only = f"the {split} images are of {listed(names[split])} only ({count:,})"
            notes.append(f"{only}, and nothing is trained on these classes")
    splits = replace(splits, validation=made["validation"], test=made["test"])
    return replace(splits, notes=(*splits.notes, *notes)), rest, held


def _positions(splits: Splits, wanted: Sequence[str], split: str) -> Tensor:
    for name in wanted:
        if name not in splits.classes:
            message = f"data.split.{split}_classes: there is no class '{name}'"
            raise ValueError(f"{message}; {suggestion(name, splits.classes)}")
    return torch.tensor([splits.classes.index(name) for name in wanted])


def _refuse(splits: Splits, holdout: Holdout, names: Mapping[str, Sequence[str]]) -> None:
    both = {*names["validation"]} & {*names["test"]}
    if both:
        raise ValueError(f"'{min(both)}' is set apart for validation and for test; choose one")
    for split, share in (("validation", holdout.validation), ("test", holdout.test)):
        if names[split] and share is not None:
            raise ValueError(
                f"data.split.{split} asks for a part of the images, and data.split.{split}_classes "
                "for all of some classes; remove one of the two"
            )
    if splits.form != "classes" or splits.groups is not None:
        what = "belong together in groups" if splits.form == "classes" else "have no class"
        raise ValueError(f"images that {what} cannot be set apart by class; remove it")
