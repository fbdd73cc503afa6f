"""The third lot of faults in images, labels, splits and transforms.

Those that a data set does to its images are functions of third_sets.py, which say what is wrong.
"""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

from planting import edits
from planting.edits import before_normalize, has_colours, has_objects, has_several
from planting.healthy import Base
from planting.kinds import kind

later = partial(kind, lot=3)

spoiled = partial(edits.spoiled, lot=3)

WRONG_TRANSFORMS = str(Path(__file__).with_name("wrong_transforms.py"))
"""A plugin."""


spoiled("images_reshaped", "data", "misread_pixels", least=0.5, most=0.5)
spoiled("floats_cast_to_bytes", "data", "same_picture", "constant_channel", least=0.5, most=0.5)
spoiled("low_byte_kept", "data", "misread_pixels", least=0.1, most=0.4)
spoiled("boxes_misread", "data", least=0.35, most=0.5, fits=has_objects)
spoiled("in_two_folders", "data", "labels_noisy", least=1.0, most=1.0)
spoiled("pseudo_labelled", "data", "labels_noisy", least=0.8, most=1.0)
spoiled(
    "rare_classes_copied",
    "data",
    "too_few_images",
    "uneven_classes",
    "same_picture",
    least=0.003,
    most=0.005,
    fits=has_objects,
)
spoiled("one_sort_of_each_class", "split", "splits_differ", least=0.1, most=0.15)
spoiled(
    "mixed_with_labels_exchanged",
    "augmentation",
    "labels_noisy",
    "too_much_augmentation",
    least=0.2,
    most=0.25,
)
spoiled("light_tells_class", "split", "splits_differ", least=0.2, most=0.5)
spoiled(
    "thumbnails_of_some_classes", "split", "splits_differ", least=0.25, most=0.35, fits=has_objects
)
spoiled("training_outlined", "split", "splits_differ", least=0.5, most=0.5, fits=has_objects)
spoiled(
    "validation_lacks_a_folder",
    "split",
    "splits_differ",
    "class_missing",
    "labels_shifted",
    least=0.0,
    most=0.9,
    fits=has_several,
)
spoiled(
    "validation_rows_slipped",
    "split",
    "splits_differ",
    "misread_pixels",
    least=0.4,
    most=1.0,
    fits=has_objects,
)
spoiled("validation_background_filled", "split", "splits_differ", least=0.3, most=0.45)
spoiled("validation_grey", "split", "splits_differ", least=0.5, most=0.5, fits=has_colours)
spoiled(
    "validation_in_other_colours", "split", "splits_differ", least=0.5, most=0.5, fits=has_colours
)
spoiled("validation_crowded", "split", "splits_differ", least=0.5, most=0.65)


@later("split", "too_few_images", "does_not_generalise")
def nearly_all_set_apart(base: Base, random_: random.Random) -> str:
    """The shares of the split are exchanged: nearly all images are set apart as a test set.

    Only a few are left to train on.
    """
    if not has_objects(base):
        return ""  # a few blots of each hue are enough
    share = random_.choice([0.97, 0.985])
    base.tree["data"]["split"] = {"test": share}
    return f"{share:.0%} of the training images set apart for the test"


@later("split", "splits_differ", "not_normalised")
def bytes_in_training_only(base: Base, random_: random.Random) -> str:
    """A transform of one's own gives training images as numbers up to 255; in evaluation up to 1.

    The network is trained on pixels 255 times as large as those that it is evaluated on.
    """
    base.tree["plugins"].append(WRONG_TRANSFORMS)
    steps = base.tree["data"]["transforms"]
    steps["train"][steps["train"].index("normalize")] = "to_bytes"
    steps["eval"].remove("normalize")
    return "training images from 0 to 255, evaluation images from 0 to 1"


@later("augmentation", "labels_noisy", "labels_shifted", "too_much_augmentation")
def shuffled_without_labels(base: Base, random_: random.Random) -> str:
    """A transform of one's own puts the images of a batch in another order, the labels stay.

    The stored labels are right; those that the network is given are not.
    """
    base.tree["plugins"].append(WRONG_TRANSFORMS)
    before_normalize(base, "train", "shuffled_batch")
    return "each batch's images shuffled, its labels not"


@later("augmentation", "too_much_augmentation", "labels_noisy", "same_picture")
def one_image_for_the_batch(base: Base, random_: random.Random) -> str:
    """A transform of one's own broadcasts the first image of a batch over the whole of it.

    All images of a batch are the same one, with the labels of all.
    """
    base.tree["plugins"].append(WRONG_TRANSFORMS)
    before_normalize(base, "train", "first_of_batch")
    return "the first image of each batch in place of all"


@later("augmentation", "too_much_augmentation")
def tiles_shuffled(base: Base, random_: random.Random) -> str:
    """Augmentation cuts training images into tiles and lays these in any order.

    The form of an object, by which it is known, is lost in training; evaluation shows it whole.
    """
    if not has_objects(base):
        return ""
    base.tree["plugins"].append(WRONG_TRANSFORMS)
    tiles = 2 if base.data.size < 16 else 4
    before_normalize(base, "train", {"shuffled_grid": {"tiles": tiles}})
    return f"{tiles} x {tiles} tiles in any order"


@later("augmentation", "too_much_augmentation")
def jitter_in_percent(base: Base, random_: random.Random) -> str:
    """The strength of colour jitter is given in per cent where a share is expected.

    Nearly all training images are white all over.
    """
    percent = random_.choice([40, 80])
    jitter = {"color_jitter": {"brightness": percent, "contrast": percent}}
    before_normalize(base, "train", jitter)
    return f"brightness and contrast times up to {percent}"


@later("augmentation", "too_much_augmentation", "splits_differ")
def shrunk_to_specks(base: Base, random_: random.Random) -> str:
    """The range of scales is upside down: training images are shrunk to specks on black.

    In validation they fill the image.
    """
    least = random_.choice([0.1, 0.15])
    before_normalize(base, "train", {"affine": {"scale": [least, 1.5 * least]}})
    return f"scaled to {least:.0%} in training"


@later("augmentation", "too_much_augmentation")
def lighting_in_bytes(base: Base, random_: random.Random) -> str:
    """The strength of random lighting is that for bytes, where pixels are from 0 to 1.

    Training images drown in random tints.
    """
    if not has_colours(base):
        return ""
    std = random_.choice([25.5, 51.0])
    before_normalize(base, "train", {"pca_lighting": {"std": std}})
    return f"lighting of {std}"
