"""The sixth lot of faults in images, labels, splits and transforms.

Those that a data set does to its images are functions of sixth_sets.py and sixth_images.py, which
say what is wrong.
"""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any

from planting import edits, fifth_data
from planting.edits import before_normalize, has_objects, has_several
from planting.fifth_data import has_grey_objects, has_upright_objects, needs_neighbours
from planting.healthy import Base
from planting.kinds import kind

later = partial(kind, lot=6)

spoiled = partial(edits.spoiled, lot=6)

TRANSFORMS = str(Path(__file__).with_name("sixth_transforms.py"))
"""A plugin."""


def has_one_channel(base: Base) -> bool:
    """Grey images."""
    return base.data.channels == 1


def has_one_grey_object(base: Base) -> bool:
    """One object of some grey, at any place."""
    return base.data.name in ("planted_arrows", "planted_shapes")


def is_bound_to_places(base: Base) -> bool:
    """Whether the network's dense layers know objects by where they are."""
    return has_objects(base) and base.has("flatten")


def has_objects_at_any_place(base: Base) -> bool:
    """Whether the images have, and the network has to know them by where they are."""
    return is_bound_to_places(base) and has_one_grey_object(base)


def has_classes_of_colours(base: Base) -> bool:
    """Whether nothing but the colour shows the class."""
    return not base.data.hue


def is_upright_and_grey(base: Base) -> bool:
    """Whether objects stand upright before a background that is not black."""
    return has_grey_objects(base) and has_upright_objects(base)


def has_small_images(base: Base) -> bool:
    """Whether all pairs of pixels of an image are few enough to be looked at."""
    return needs_neighbours(base) and has_one_channel(base)


spoiled("mean_subtracted_in_bytes", "data", "misread_pixels", fits=has_grey_objects)
spoiled("alpha_read_as_image", "data", "same_picture")
spoiled("components_in_place_of_pixels", "data", "misread_pixels", fits=has_small_images)
spoiled("transparent_parts_uncovered", "data", "misread_pixels", fits=has_one_channel)
spoiled("sixteen_bits_read_as_eight", "data", "misread_pixels")
spoiled(
    "first_dummy_dropped",
    "data",
    "labels_shifted",
    "labels_noisy",
    "splits_differ",
    fits=has_several,
)
spoiled("table_reshaped", "data", "labels_noisy")
spoiled("one_query_for_two_classes", "data", "classes_alike", "labels_noisy", "splits_differ")
spoiled(
    "mask_upside_down_in_training", "split", "splits_differ", least=0.0, most=0.5, fits=has_objects
)
spoiled("place_tells_class", "split", "splits_differ", least=0.2, most=0.3, fits=is_bound_to_places)
spoiled("some_classes_augmented", "split", "splits_differ", fits=is_upright_and_grey)
spoiled("training_left_as_mosaic", "split", "splits_differ", fits=has_classes_of_colours)
spoiled("centred_in_training", "split", "splits_differ", fits=has_objects_at_any_place)
spoiled(
    "validation_from_the_training_cache", "split", "test_in_train", "labels_noisy", "splits_differ"
)
spoiled("validation_bytes_signed", "split", "splits_differ")
spoiled(
    "validation_labelled_coarsely",
    "split",
    "splits_differ",
    "labels_noisy",
    "labels_shifted",
    fits=has_several,
)
spoiled("validation_interlaced", "split", "splits_differ", least=0.35, most=0.5, fits=has_objects)
spoiled("validation_photographed_from_a_screen", "split", "splits_differ", least=0.4, most=0.8)


def _steps(base: Base, part: str) -> list[Any]:
    """A list of transforms, to be changed, which may now name those of sixth_transforms.py."""
    base.tree["plugins"].append(TRANSFORMS)
    found: list[Any] = base.tree["data"]["transforms"][part]
    return found


def _in_both(base: Base, step: Any) -> None:
    """A step in place of `normalize` in both lists."""
    steps = base.tree["data"]["transforms"]
    for part in ("train", "eval"):
        steps[part] = [step if each == "normalize" else each for each in steps[part]]


@later("data", "same_picture", "not_normalised", clue="unit_length")
def normalised_along_channels(base: Base, random_: random.Random) -> str:
    """`torch.nn.functional.normalize` in place of `normalize`: it divides by the channels' length.

    The cause: with a single channel each pixel is divided by itself, and all that is not quite
    black becomes 1, in both lists. Subtract the mean and divide by the deviation.
    """
    if not has_one_grey_object(base):
        return ""
    base.tree["plugins"].append(TRANSFORMS)
    _in_both(base, "unit_length")
    return "each pixel divided by its own length"


@later("split", "splits_differ", "not_normalised", clue="standardize")
def standardised_in_training_only(base: Base, random_: random.Random) -> str:
    """A step of one's own centres and scales training images; for evaluation it was forgotten.

    The cause: the network is trained on numbers about 0 and evaluated on pixels from 0 to 1, which
    are brighter to it and of less contrast. Add the step to the evaluation list.
    """
    base.tree["plugins"].append(fifth_data.TRANSFORMS)
    std = random_.choice([0.2, 0.25])
    steps = base.tree["data"]["transforms"]
    step = {"standardize": {"mean": 0.5, "std": std}}
    steps["train"] = [step if each == "normalize" else each for each in steps["train"]]
    steps["eval"].remove("normalize")
    return f"training images standardised by 0.5 and {std}, evaluation images not"


@later("split", "splits_differ", clue="resize")
def evaluated_at_another_size(base: Base, random_: random.Random) -> str:
    """Evaluation images are resized to twice the size of training images, or to half of it.

    The cause: a network that averages over places takes any size, but objects have another scale
    than those it was trained on. Resize to the same size in both lists.
    """
    if not (has_objects(base) and base.has("global_avg_pool")):
        return ""
    size = round(base.data.size * random_.choice([0.5, 2.0]))
    before_normalize(base, "eval", {"resize": {"size": size}})
    return f"evaluated at {size} x {size} pixels, trained at {base.data.size} x {base.data.size}"


@later("augmentation", "too_much_augmentation", clue="random_grayscale")
def always_grey(base: Base, random_: random.Random) -> str:
    """Colours are taken from training images for augmentation, from all of them and not from some.

    The cause: training images are grey, validation images have colours. Show few images in grey,
    about one in ten, and none where the colour is the class.
    """
    if not has_classes_of_colours(base):
        return ""
    _steps(base, "train")
    before_normalize(base, "train", {"random_grayscale": {"p": 1.0}})
    return "all training images in grey"


@later("augmentation", "too_much_augmentation", clue="solarize")
def solarised_at_the_wrong_scale(base: Base, random_: random.Random) -> str:
    """Solarising inverts what is brighter than 0.5, where a threshold of bytes (128) is expected.

    The cause: all but black pixels of training images are inverted, and they are negatives of
    validation images. Give the threshold in bytes, and solarise a part of the images only.
    """
    _steps(base, "train")
    before_normalize(base, "train", {"solarize": {"threshold": 0.5}})
    return "inverted where a byte is at least 0.5"


@later("augmentation", "too_much_augmentation", clue="turn")
def turned_always_alike(base: Base, random_: random.Random) -> str:
    """A transform of one's own makes its generator, with a fixed seed, in each call.

    The cause: the angle is the same for all training images and in all epochs: they all stand
    askew, and validation images are upright. Make the generator once, or use the one that is given.
    """
    if not has_upright_objects(base):
        return ""
    degrees = random_.choice([60.0, 90.0])
    _steps(base, "train")
    before_normalize(base, "train", {"turn": {"degrees": degrees}})
    return f"turned by 0.76 x {degrees:g} degrees, all of them"


@later("augmentation", "too_much_augmentation", clue="rotate_array")
def rotated_in_the_wrong_plane(base: Base, random_: random.Random) -> str:
    """`scipy.ndimage.rotate` turns in the plane of the first two axes, here channels and rows.

    The cause: rows are turned into channels and out of the image: of training images there is left
    a strip across the middle. Give the axes of rows and columns.
    """
    degrees = random_.choice([45.0, 90.0])
    _steps(base, "train")
    before_normalize(base, "train", {"rotate_array": {"degrees": degrees}})
    return f"turned by up to {degrees:g} degrees in the plane of channels and rows"


@later("augmentation", "too_much_augmentation", clue="cutout")
def cutout_kept_the_box(base: Base, random_: random.Random) -> str:
    """Cutout with its mask upside down: the square is kept, and all around it is erased.

    The cause: of each training image nothing but a small square is left. Multiply by 1 minus the
    mask.
    """
    if not has_objects(base):
        return ""
    side = random_.choice([0.25, 0.35])
    _steps(base, "train")
    before_normalize(base, "train", {"cutout": {"side": side}})
    return f"nothing kept but a square of {side:.0%} of the side"


@later("augmentation", "too_much_augmentation", clue="shift")
def shifted_by_pixels_as_shares(base: Base, random_: random.Random) -> str:
    """A shift in pixels is given to `affine_grid`, for which the whole image goes from -1 to 1.

    The cause: a shift by a pixel or two moves the object out of the image, and most training images
    are black. Divide the shift by half the size of the image.
    """
    most = random_.choice([4.0, 6.0])
    _steps(base, "train")
    before_normalize(base, "train", {"shift": {"most": most}})
    return f"shifted by up to {most:g} half widths"


@later("augmentation", "not_finite", "too_much_augmentation", clue="gamma")
def power_of_normalised(base: Base, random_: random.Random) -> str:
    """A change of gamma stands after `normalize`, where half of the numbers are negative.

    The cause: a negative number to a power that is not whole is not a number, and the first step
    makes all weights so. Put the step above `normalize`.
    """
    steps = _steps(base, "train")
    steps.insert(steps.index("normalize") + 1, {"gamma": {"most": random_.choice([1.5, 2.0])}})
    return "normalised images raised to a power"


@later("augmentation", "too_much_augmentation", clue="by_picture")
def picture_made_of_normalised(base: Base, random_: random.Random) -> str:
    """A step that works on pictures of 8 bits stands after `normalize`: numbers become bytes.

    The cause: normalised numbers times 255 lie outside of a byte and wrap around several times, in
    training only. Put the step above `normalize`.
    """
    steps = _steps(base, "train")
    steps.insert(steps.index("normalize") + 1, "by_picture")
    return "normalised training images made pictures and numbers again"


@later("augmentation", "too_much_augmentation", clue="sharpen")
def sharpened_in_percent(base: Base, random_: random.Random) -> str:
    """The strength of sharpening is given in per cent, where 2 is already strong.

    The cause: each pixel of training images is black or white by whether it is darker than its
    neighbours, and noise is all that is seen. Take a factor of about 2.
    """
    factor = random_.choice([100.0, 200.0])
    _steps(base, "train")
    before_normalize(base, "train", {"sharpen": {"factor": factor}})
    return f"sharpened with a factor of {factor:g}"
