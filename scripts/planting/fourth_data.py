"""The fourth lot of faults in images, labels, splits and transforms.

Those that a data set does to its images are functions of fourth_sets.py, which say what is wrong.
"""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any

from planting import edits
from planting.edits import before_normalize, has_colours, has_objects
from planting.healthy import Base
from planting.kinds import kind

later = partial(kind, lot=4)

spoiled = partial(edits.spoiled, lot=4)

TRANSFORMS = str(Path(__file__).with_name("fourth_transforms.py"))
"""A plugin."""


def has_one_way_up(base: Base) -> bool:
    """Whether what an image shows depends on how it is turned."""
    return base.data.name in ("planted_arrows", "planted_digits", "planted_mnist")


def has_many_levels(base: Base) -> bool:
    """Whether brightness between black and white says something."""
    return base.data.name not in ("planted_digits", "planted_mnist")


def has_mean_images(base: Base) -> bool:
    """Whether the images of a class have much in common at the same place."""
    return base.data.name in ("planted_colours", "planted_digits", "planted_mnist")


spoiled("one_buffer_reused", "data", "same_picture", "labels_noisy", least=0.2, most=0.6)
spoiled("labels_of_another_column", "data", "labels_noisy", least=0.5, most=0.5)
spoiled("two_things_one_label", "data", "labels_noisy", "misread_pixels", least=0.5, most=0.5)
spoiled("orientation_ignored", "data", "misread_pixels", least=0.5, most=0.5, fits=has_one_way_up)
spoiled(
    "levels_cut_off",
    "data",
    "same_picture",
    "constant_channel",
    least=0.2,
    most=0.5,
    fits=has_many_levels,
)
spoiled("palette_numbers_read", "data", "misread_pixels", least=0.5, most=0.5)
spoiled(
    "images_repeated_labels_tiled", "data", "labels_noisy", "labels_shifted", least=0.0, most=0.5
)
spoiled(
    "sheet_cut_at_wrong_places", "data", "misread_pixels", "labels_shifted", least=0.58, most=0.7
)
spoiled("too_few_photons", "data", "misread_pixels", "same_picture", least=0.08, most=0.15)
spoiled("labels_of_the_group", "data", "labels_noisy", least=0.1, most=0.5)
spoiled("averaged_within_classes", "split", "splits_differ", least=0.2, most=0.5, fits=has_objects)
spoiled("objects_too_small", "data", "same_picture", least=0.18, most=0.25, fits=has_objects)
spoiled("middle_anonymised", "data", "constant_channel", least=0.3, most=0.4, fits=has_objects)
spoiled(
    "rows_shuffled",
    "data",
    "splits_differ",
    "misread_pixels",
    least=0.5,
    most=0.5,
    fits=has_objects,
)
spoiled(
    "repeated_in_place_of_resized", "data", "misread_pixels", least=0.5, most=0.5, fits=has_objects
)
spoiled(
    "folders_centred_apart", "split", "splits_differ", least=0.5, most=0.5, fits=has_mean_images
)
spoiled("validation_labelled_carelessly", "split", "labels_noisy", least=0.25, most=0.45)
spoiled("validation_partly_blank", "split", "splits_differ", "same_picture", least=0.3, most=0.6)
spoiled(
    "validation_labels_of_a_template",
    "split",
    "class_missing",
    "splits_differ",
    "labels_noisy",
    least=0.5,
    most=0.5,
)
spoiled("validation_white_balance", "split", "splits_differ", least=0.6, most=0.8, fits=has_colours)


def _in_both(base: Base, step: Any) -> None:
    """A step in place of `normalize` in both lists."""
    steps = base.tree["data"]["transforms"]
    for part in ("train", "eval"):
        steps[part] = [step if each == "normalize" else each for each in steps[part]]


@later("data", "not_normalised", clue="normalize")
def divided_by_255_twice(base: Base, random_: random.Random) -> str:
    """Pixels, which are from 0 to 1 already, are divided by 255 once more, in both lists.

    The cause: the network is given numbers of at most 0.004, and without a norm inside it nothing
    makes them larger, so that it hardly learns. Scale once, or normalise.
    """
    if base.has("_norm"):
        return ""
    channels = base.data.channels
    _in_both(base, {"normalize": {"mean": [0.0] * channels, "std": [255.0] * channels}})
    return "pixels divided by 255 twice"


@later("augmentation", "too_much_augmentation", "labels_noisy", clue="pasted_box")
def boxes_pasted_without_labels(base: Base, random_: random.Random) -> str:
    """Cutmix as a transform of one's own: most of each image is another one's, the label stays.

    The cause: the label does not follow what the image shows for the most part. Use a cutmix that
    mixes the labels in proportion.
    """
    base.tree["plugins"].append(TRANSFORMS)
    least = random_.choice([0.6, 0.7])
    before_normalize(base, "train", {"pasted_box": {"least": least}})
    return f"at least {least:.0%} of each image from another one, with the own label"


@later("augmentation", "random_evaluation", clue="random_view")
def augmented_evaluation(base: Base, random_: random.Random) -> str:
    """Validation images go through the training transforms: a window of each, turned at random.

    The cause: what is measured is the error on windows drawn at random and not on the images, and
    it changes from one evaluation to the next. Leave augmentation out of evaluation. The windows
    are strong augmentation, too (a tenth to a third of the image), but what raises the measured
    error is that evaluation sees them.
    """
    if not has_objects(base):
        return ""
    base.tree["plugins"].append(TRANSFORMS)
    view = {"random_view": {"turn": random_.choice([20.0, 30.0]), "scale": 0.3}}
    for part in ("train", "eval"):
        before_normalize(base, part, view)
    return "evaluation sees turned windows drawn at random, too"


@later("augmentation", "too_much_augmentation", clue="elastic")
def elastic_beyond_recognition(base: Base, random_: random.Random) -> str:
    """An elastic distortion with the strength that fits images ten times as large.

    The cause: pixels are moved by a good part of the image; forms are torn in training and whole in
    validation. Take a strength of a few pixels.
    """
    if not has_objects(base):
        return ""
    base.tree["plugins"].append(TRANSFORMS)
    alpha = base.data.size * random_.choice([2.0, 3.0])
    before_normalize(base, "train", {"elastic": {"alpha": alpha, "sigma": 1.5}})
    return f"elastic distortion with an alpha of {alpha:g}"


@later("augmentation", "too_much_augmentation", "splits_differ", clue="gaussian_blur")
def blurred_in_training(base: Base, random_: random.Random) -> str:
    """A Gaussian blur with the width that fits images of 224 pixels.

    The cause: training images are blurred beyond recognition, validation images are sharp. Blur by
    less than a pixel, or only a part of the images.
    """
    if not has_objects(base):
        return ""
    base.tree["plugins"].append(TRANSFORMS)
    sigma = round(base.data.size * random_.choice([0.2, 0.3]), 1)
    before_normalize(base, "train", {"gaussian_blur": {"sigma": sigma}})
    return f"blurred by {sigma} pixels in training"
