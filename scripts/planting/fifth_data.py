"""The fifth lot of faults in images, labels, splits and transforms.

Those that a data set does to its images are functions of fifth_sets.py and fifth_images.py, which
say what is wrong.
"""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

from planting import edits
from planting.edits import before_normalize, has_colours, has_objects, has_several
from planting.fourth_data import has_many_levels
from planting.healthy import Base
from planting.kinds import kind

later = partial(kind, lot=5)

spoiled = partial(edits.spoiled, lot=5)

TRANSFORMS = str(Path(__file__).with_name("fifth_transforms.py"))
"""A plugin."""


def has_grey_objects(base: Base) -> bool:
    """Whether images show objects by brightness between black and white."""
    return has_objects(base) and has_many_levels(base)


def has_classes_by_colour(base: Base) -> bool:
    """Whether colour alone gives the class away."""
    return not base.data.hue


def has_upright_objects(base: Base) -> bool:
    """Whether an image is another one when rows and columns are exchanged."""
    return base.data.name not in ("planted_colours", "planted_shapes")


def needs_neighbours(base: Base) -> bool:
    """Whether the network has to find objects by pixels that lie side by side."""
    return base.net != "perceptron" and has_grey_objects(base)


spoiled("files_sorted_as_text", "data", "labels_noisy", "labels_shifted")
spoiled("one_column_sorted", "data", "labels_noisy", "labels_shifted")
spoiled("unreadable_files_skipped", "data", "labels_shifted", "labels_noisy", least=0.2, most=0.8)
spoiled("numbered_shard_by_shard", "data", "labels_noisy", "labels_shifted", least=0.1, most=0.9)
spoiled("joined_on_repeated_names", "data", "labels_noisy")
spoiled(
    "some_read_as_bgr", "data", "misread_pixels", least=0.4, most=0.5, fits=has_classes_by_colour
)
spoiled("votes_averaged", "data", "labels_noisy", least=0.4, most=0.5, fits=has_several)
spoiled("one_class_two_spellings", "data", "labels_noisy", "classes_alike", fits=has_several)
spoiled(
    "patches_labelled_as_the_whole", "data", "labels_noisy", least=0.25, most=0.35, fits=has_objects
)
spoiled("same_names_overwritten", "data", "same_picture", "labels_noisy", least=0.6, most=0.85)
spoiled("records_one_byte_short", "data", "misread_pixels", "labels_shifted")
spoiled(
    "scaled_by_a_hot_pixel",
    "data",
    "same_picture",
    "not_normalised",
    "misread_pixels",
    least=0.2,
    most=0.5,
    fits=has_grey_objects,
)
spoiled("columns_in_any_order", "data", "misread_pixels", fits=needs_neighbours)
spoiled("background_tells_class", "split", "splits_differ", least=0.3, most=0.5)
spoiled(
    "validation_labels_of_another_pass", "split", "labels_noisy", "labels_shifted", "splits_differ"
)
spoiled("validation_compressed", "split", "splits_differ", least=0.0, most=0.5, fits=has_colours)
spoiled("validation_dithered", "split", "splits_differ", fits=has_grey_objects)
spoiled("training_transposed", "split", "splits_differ", fits=has_upright_objects)
spoiled("equalised_in_training", "split", "splits_differ", fits=has_colours)
spoiled(
    "background_removed_in_training",
    "split",
    "splits_differ",
    least=0.0,
    most=0.3,
    fits=has_grey_objects,
)
spoiled("training_in_false_colours", "split", "splits_differ")
spoiled("training_squeezed", "split", "splits_differ", least=0.3, most=0.4, fits=has_objects)


def _steps(base: Base, part: str) -> list[object]:
    """A list of transforms, to be changed, which may now name those of fifth_transforms.py."""
    base.tree["plugins"].append(TRANSFORMS)
    found: list[object] = base.tree["data"]["transforms"][part]
    return found


@later("split", "splits_differ", "not_normalised", clue="standardize")
def normalised_twice_in_evaluation(base: Base, random_: random.Random) -> str:
    """Evaluation images are normalised once by the list, and once more by a step of one's own.

    The cause: the network is evaluated on numbers that lie elsewhere and spread further than those
    that it was trained on. Normalise once, in both lists.
    """
    if not has_objects(base):
        return ""
    std = random_.choice([0.2, 0.25])
    _steps(base, "eval").append({"standardize": {"mean": 0.5, "std": std}})
    return f"evaluation images normalised, and then by 0.5 and {std} again"


@later("augmentation", "too_much_augmentation", clue="pixel_dropout")
def share_kept_taken_for_share_dropped(base: Base, random_: random.Random) -> str:
    """Pixels are dropped for augmentation, with the share to be kept where that to drop is meant.

    The cause: nearly all pixels of training images are black, and none of validation images is.
    Drop a few per cent.
    """
    share = random_.choice([0.9, 0.95])
    _steps(base, "train")
    before_normalize(base, "train", {"pixel_dropout": {"p": share}})
    return f"{share:.0%} of the pixels dropped"


@later("augmentation", "too_much_augmentation", clue="posterize")
def posterised_to_one_bit(base: Base, random_: random.Random) -> str:
    """Posterising keeps one bit for each pixel: a strength was given where bits are counted.

    The cause: training images have two levels of brightness, of which the upper one is a middle
    grey; validation images have all. Keep at least four bits.
    """
    if not has_colours(base):
        return ""
    _steps(base, "train")
    before_normalize(base, "train", {"posterize": {"bits": 1}})
    return "training images posterised to one bit"


@later("augmentation", "too_much_augmentation", clue="random_gamma")
def gamma_of_another_scale(base: Base, random_: random.Random) -> str:
    """Gamma is drawn from per cents (80 to 120), where about 1 is expected.

    The cause: all but the brightest pixels of training images become black. Draw gamma between
    about 0.8 and 1.2.
    """
    _steps(base, "train")
    gamma = {"least": 80.0, "most": 120.0}
    before_normalize(base, "train", {"random_gamma": gamma})
    return "training images raised to the power of 80 to 120"


@later("augmentation", "too_much_augmentation", clue="change_brightness")
def clipped_after_normalisation(base: Base, random_: random.Random) -> str:
    """A change of brightness that keeps pixels between 0 and 1 stands after `normalize`.

    The cause: normalised numbers lie about 0, so that in training all that is darker than the mean
    is cut off, and much of what is brighter; in evaluation nothing is. Put the step above
    `normalize`.
    """
    if not has_colours(base):
        return ""
    steps = _steps(base, "train")
    steps.insert(steps.index("normalize") + 1, {"change_brightness": {"most": 0.1}})
    return "training images cut off at 0 and 1 after they were normalised"


@later("augmentation", "too_much_augmentation", "not_normalised", clue="erase_box")
def erased_with_255(base: Base, random_: random.Random) -> str:
    """Random erasing fills its box with 255, a white byte, in images that are normalised.

    The cause: in training a part of each image is a hundred times as large as all else, which
    upsets weights and statistics of norms. Fill with 0 after `normalize`.
    """
    steps = _steps(base, "train")
    side = random_.choice([0.25, 0.35])
    steps.insert(steps.index("normalize") + 1, {"erase_box": {"value": 255.0, "side": side}})
    return f"a box of {side:.0%} of the side filled with 255 in normalised images"


@later("augmentation", "too_much_augmentation", clue="turn_and_shift")
def augmented_in_place(base: Base, random_: random.Random) -> str:
    """A transform of one's own writes its result over the stored image, from which it reads again.

    The cause: each epoch turns and shifts what the epochs before have turned and shifted, until
    little of the object is in the image. Let the transform work on a copy.
    """
    if not has_objects(base):
        return ""
    _steps(base, "train")
    move = {"degrees": random_.choice([30.0, 40.0]), "shift": 0.25}
    before_normalize(base, "train", {"turn_and_shift": move})
    return "turned and shifted once more in each epoch"


@later("augmentation", "too_much_augmentation", clue="rotate")
def turned_about_a_corner(base: Base, random_: random.Random) -> str:
    """A rotation of one's own turns images about the first pixel in place of the middle.

    The cause: with all but the smallest angles the object leaves the image, and most of what is
    left is black. Turn about the middle.
    """
    if not has_upright_objects(base):
        return ""
    degrees = random_.choice([60.0, 90.0])
    _steps(base, "train")
    before_normalize(base, "train", {"rotate": {"degrees": degrees}})
    return f"turned by up to {degrees:g} degrees about the upper left corner"
