"""Kinds of faults in images, labels, splits and transforms."""

from __future__ import annotations

import random

from planting.edits import before_normalize, has_objects, spoiled
from planting.healthy import Base
from planting.kinds import kind

spoiled("labels_wrong", "data", "labels_noisy", least=0.25, most=0.45)
spoiled("labels_random", "data", "labels_noisy", "labels_shifted")
spoiled("labels_late", "data", "labels_noisy", "labels_shifted")
spoiled("labels_of_a_pair_mixed", "data", "labels_noisy")
spoiled("class_missing", "data", "class_missing")
spoiled("class_rare", "data", "uneven_classes")
spoiled("few_images", "data", "too_few_images", "does_not_generalise", least=0.02, most=0.04)
spoiled("blank_images", "data", "same_picture", least=0.4, most=0.7)
spoiled("mark_tells_class", "split", "splits_differ")
spoiled("copies_of_validation", "data", "test_in_train", least=0.2, most=0.8)
spoiled("validation_two_exchanged", "split", "splits_differ")
spoiled("validation_all_permuted", "split", "splits_differ", "labels_shifted")
spoiled("validation_late", "split", "splits_differ", "labels_shifted")
spoiled("validation_inverted", "split", "splits_differ")
spoiled("validation_dark", "split", "splits_differ", least=0.3, most=0.4)
spoiled("validation_pale", "split", "splits_differ", least=0.2, most=0.5)
spoiled("validation_blurred", "split", "splits_differ", least=0.3, most=0.5)
spoiled("validation_shifted", "split", "splits_differ", least=0.3, most=0.5)
spoiled("validation_noisy", "split", "splits_differ", least=0.3, most=0.5)
spoiled("validation_class_of_another_kind", "split", "splits_differ")


spoiled("channel_empty", "data", "constant_channel", fits=lambda base: base.data.channels == 3)
spoiled("validation_channels_swapped", "split", "splits_differ",
        fits=lambda base: base.data.channels == 3)  # fmt: skip
spoiled("validation_turned", "split", "splits_differ", fits=lambda base: not base.data.turn)
spoiled("validation_upside_down", "split", "splits_differ",
        fits=lambda base: base.data.name not in ("planted_colours", "planted_shapes"))  # fmt: skip


@kind("augmentation", "too_much_augmentation")
def mirrored(base: Base, random_: random.Random) -> str:
    if base.data.flip or base.data.name == "planted_mnist":
        return ""
    before_normalize(base, "train", "horizontal_flip")
    return "horizontal flips"


@kind("augmentation", "too_much_augmentation")
def turned(base: Base, random_: random.Random) -> str:
    if base.data.name not in ("planted_arrows", "planted_digits", "planted_mnist"):
        return ""
    before_normalize(base, "train", {"affine": {"rotate": 180}})
    return "turned by up to 180 degrees"


@kind("augmentation", "too_much_augmentation")
def other_hues(base: Base, random_: random.Random) -> str:
    if base.data.hue:
        return ""
    before_normalize(base, "train", {"color_jitter": {"hue": random_.choice([0.3, 0.5])}})
    return "any hue"


@kind("augmentation", "too_much_augmentation")
def tiny_windows(base: Base, random_: random.Random) -> str:
    if not has_objects(base):
        return ""
    share = random_.choice([0.02, 0.05])
    crop = {"size": base.data.size, "scale": [share, 2 * share]}
    before_normalize(base, "train", {"random_resized_crop": crop})
    return f"windows of {share:.0%} of the image"


@kind("augmentation", "too_much_augmentation")
def erased_objects(base: Base, random_: random.Random) -> str:
    erasing = {"probability": 1.0, "scale": [0.8, 0.95], "ratio": [0.8, 1.25]}
    base.tree["data"]["transforms"]["train"].append({"random_erasing": erasing})
    return "80 to 95 % of each image erased"


@kind("augmentation", "too_much_augmentation")
def drowned_in_noise(base: Base, random_: random.Random) -> str:
    std = random_.choice([0.7, 1.5])
    before_normalize(base, "train", {"noise": {"std": std}})
    return f"noise of {std}"


@kind("augmentation", "too_much_augmentation")
def sheared(base: Base, random_: random.Random) -> str:
    if not has_objects(base):
        return ""
    before_normalize(
        base, "train", {"affine": {"shear": 70, "scale": [0.3, 2.5], "translate": 0.5}}
    )
    return "sheared, scaled and moved out of sight"


@kind("split", "splits_differ")
def evaluated_enlarged(base: Base, random_: random.Random) -> str:
    if not has_objects(base):
        return ""
    size = base.data.size
    steps = [{"resize": {"size": 2 * size}}, {"center_crop": {"size": size}}, "normalize"]
    base.tree["data"]["transforms"]["eval"] = steps
    return "evaluation sees the middle, twice as large"


@kind("data", "not_normalised")
def statistics_of_bytes(base: Base, random_: random.Random) -> str:
    channels = base.data.channels
    wrong = {"normalize": {"mean": [127.5] * channels, "std": [63.0] * channels}}
    transforms = base.tree["data"]["transforms"]
    for part in ("train", "eval"):
        transforms[part] = [wrong if step == "normalize" else step for step in transforms[part]]
    return "mean and deviation of bytes for pixels from 0 to 1"


@kind("data", "not_normalised")
def tiny_deviation(base: Base, random_: random.Random) -> str:
    channels, std = base.data.channels, random_.choice([0.002, 0.005])
    wrong = {"normalize": {"mean": [0.5] * channels, "std": [std] * channels}}
    transforms = base.tree["data"]["transforms"]
    for part in ("train", "eval"):
        transforms[part] = [wrong if step == "normalize" else step for step in transforms[part]]
    return f"divided by {std}"
