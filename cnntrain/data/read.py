"""Reading a data set into its splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cnntrain.core.errors import ConfigError, DataError
from cnntrain.core.escapes import breaks_lines
from cnntrain.core.problems import Place
from cnntrain.core.target_forms import STORED_AS, Wanted, in_words
from cnntrain.data import DATASETS
from cnntrain.data.hold_out import hold_out
from cnntrain.data.image_targets import as_images, as_several
from cnntrain.data.metadata import AS_IT_IS, Holdout
from cnntrain.data.splits import Splits


class FormError(ValueError):
    """The targets are of another form than the one that is to be learnt."""


class EmptyClassError(ValueError):
    """Classes cannot be drawn equally often, because one has no training image."""


class LoneImagesError(ValueError):
    """Images have no other of their class to be compared with in their batches."""


def open_splits(
    name: str,
    *,
    parameters: Mapping[str, Any],
    holdout: Holdout = AS_IT_IS,
    form: Wanted | None = None,
) -> Splits:
    """The splits of a data set, with the images held out that are asked for.

    Raises:
        FormError: the targets are not of the form that is asked for; None asks for none, and
            `image` makes the targets of the images, whatever they have; several are put side by
            side.
        ValueError: the data set already has such a split, or too few images for one.
    """
    splits = DATASETS.load(name)(**parameters)
    if not isinstance(splits, Splits):
        entry = DATASETS.entry(name)
        message = f"the data set '{name}' returned a {type(splits).__name__}, not Splits"
        remedy = "return cnntrain.data.splits.Splits(classes=..., train=Pixels(images, targets))"
        raise ConfigError(message, remedy=remedy, place=Place(str(entry.file), entry.line, 1))
    _refuse_other_forms(splits, form, name=name)
    for label in splits.classes:
        if breaks_lines(label):
            raise DataError(
                f"the name of the class '{label}' has a control character",
                remedy="rename it: the class list has one name per line",
            )
    held = hold_out(splits, holdout, name=name)
    if isinstance(form, tuple):
        return as_several(held, form)
    if form == "image":
        return as_images(held)
    return replace(held, form="distances") if form == "distances" else held


def _refuse_other_forms(splits: Splits, form: Wanted | None, *, name: str) -> None:
    """Refuse targets of other forms than those that are wanted, and more than are."""
    there = tuple(each for each, _ in splits.forms) or (splits.form,)
    wanted = (form,) if isinstance(form, str) else form or there
    asked = tuple(each for each in wanted if each != "image")
    needed = tuple(STORED_AS.get(each, each) for each in asked) if len(asked) == 1 else asked
    if not asked or {*needed} == {*there}:
        return
    raise FormError(
        f"an image of '{name}' has {in_words(there)}, and {in_words(asked)} would be learnt; "
        f"choose a data set that has {in_words(needed)}, or a task that learns {in_words(there)}"
    )


def class_counts(splits: Splits) -> dict[str, tuple[int, ...]]:
    """For each class or label, how many images of each split are of it, or have it."""
    return {name: splits.targets.counts(part.targets) for name, part in splits.parts.items()}


def refuse_sampling(
    sampling: str | int, splits: Splits, counts: Sequence[int], *, batch_size: int
) -> None:
    """Refuse to draw images in a way that does not suit how many of each class there are.

    Raises:
        EmptyClassError: classes are to be drawn equally often, and one has no training image.
        LoneImagesError: images are to be compared with others of their class, and a batch that is
            drawn by chance has less than one such, on average.
    """
    total = sum(counts)
    if sampling == "natural" and splits.form == "distances" and total > 1:
        pairs = sum(count * (count - 1) for count in counts) / (total * (total - 1))
        if (others := pairs * (min(batch_size, total) - 1)) < 1:
            raise LoneImagesError(
                f"in batches of {batch_size} an image meets {others:.2g} others of its class on "
                "average, and has to be compared with some; set data.images_per_class: 4"
            )
    if sampling == "balanced" and 0 in counts:
        empty = splits.classes[counts.index(0)]
        raise EmptyClassError(
            f"class '{empty}' has no training image, so it cannot be drawn as often as the others; "
            "add images of it, or leave it out of the classes"
        )
