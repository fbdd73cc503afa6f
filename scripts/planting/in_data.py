"""Kinds of faults in images, labels, splits and transforms."""

from __future__ import annotations

import random
from functools import partial

from planting.healthy import Base
from planting.kinds import KINDS, Kind, kind


def _spoil(base: Base, random_: random.Random, *, how: str, least: float, most: float) -> str:
    amount = round(random_.uniform(least, most), 2)
    base.tree["data"] |= {"spoil": how, "amount": amount, "seed": random_.randrange(100)}
    return f"{how.replace('_', ' ')}, {amount}"


def _spoiled(how: str, group: str, *codes: str, least: float = 0.3, most: float = 0.3) -> None:
    plant = partial(_spoil, how=how, least=least, most=most)
    KINDS[how] = Kind(how, group, codes, plant)


_spoiled("labels_wrong", "data", "labels_noisy", least=0.25, most=0.45)
_spoiled("labels_random", "data", "labels_noisy", "labels_shifted")
_spoiled("labels_late", "data", "labels_noisy", "labels_shifted")
_spoiled("labels_of_a_pair_mixed", "data", "labels_noisy")
_spoiled("class_missing", "data", "class_missing")
_spoiled("class_rare", "data", "uneven_classes")
_spoiled("few_images", "data", "too_few_images", "does_not_generalise", least=0.02, most=0.04)
_spoiled("blank_images", "data", "same_picture", least=0.4, most=0.7)
_spoiled("mark_tells_class", "split", "splits_differ")
_spoiled("copies_of_validation", "data", "test_in_train", least=0.2, most=0.8)
_spoiled("validation_two_exchanged", "split", "splits_differ")
_spoiled("validation_all_permuted", "split", "splits_differ", "labels_shifted")
_spoiled("validation_late", "split", "splits_differ", "labels_shifted")
_spoiled("validation_inverted", "split", "splits_differ")
_spoiled("validation_dark", "split", "splits_differ", least=0.3, most=0.4)
_spoiled("validation_pale", "split", "splits_differ", least=0.2, most=0.5)
_spoiled("validation_blurred", "split", "splits_differ", least=0.3, most=0.5)
_spoiled("validation_shifted", "split", "splits_differ", least=0.3, most=0.5)
_spoiled("validation_noisy", "split", "splits_differ", least=0.3, most=0.5)
_spoiled("validation_class_of_another_kind", "split", "splits_differ")


def _of_data(base: Base, random_: random.Random, *, how: str, ask: str) -> str:
    if ask == "colour" and base.data.channels != 3:
        return ""
    if ask == "turn" and base.data.turn:
        return ""
    if ask == "upright" and base.data.name in ("planted_colours", "planted_shapes"):
        return ""
    return _spoil(base, random_, how=how, least=0.3, most=0.3)


for _how, _group, _codes, _ask in (
    ("channel_empty", "data", ("constant_channel",), "colour"),
    ("validation_channels_swapped", "split", ("splits_differ",), "colour"),
    ("validation_turned", "split", ("splits_differ",), "turn"),
    ("validation_upside_down", "split", ("splits_differ",), "upright"),
):
    KINDS[_how] = Kind(_how, _group, _codes, partial(_of_data, how=_how, ask=_ask))


def _augment(base: Base, step: object, *, before: bool = True) -> None:
    steps = base.tree["data"]["transforms"]["train"]
    place = steps.index("normalize") if before else len(steps)
    steps.insert(place, step)


@kind("augmentation", "too_much_augmentation")
def mirrored(base: Base, random_: random.Random) -> str:
    if base.data.flip or base.data.name == "planted_mnist":
        return ""
    _augment(base, "horizontal_flip")
    return "horizontal flips"


@kind("augmentation", "too_much_augmentation")
def turned(base: Base, random_: random.Random) -> str:
    if base.data.name not in ("planted_arrows", "planted_digits", "planted_mnist"):
        return ""
    _augment(base, {"affine": {"rotate": 180}})
    return "turned by up to 180 degrees"


@kind("augmentation", "too_much_augmentation")
def other_hues(base: Base, random_: random.Random) -> str:
    if base.data.hue:
        return ""
    _augment(base, {"color_jitter": {"hue": random_.choice([0.3, 0.5])}})
    return "any hue"


@kind("augmentation", "too_much_augmentation")
def tiny_windows(base: Base, random_: random.Random) -> str:
    if base.data.name == "planted_colours":
        return ""
    share = random_.choice([0.02, 0.05])
    crop = {"size": base.data.size, "scale": [share, 2 * share]}
    _augment(base, {"random_resized_crop": crop})
    return f"windows of {share:.0%} of the image"


@kind("augmentation", "too_much_augmentation")
def erased_objects(base: Base, random_: random.Random) -> str:
    erasing = {"probability": 1.0, "scale": [0.8, 0.95], "ratio": [0.8, 1.25]}
    _augment(base, {"random_erasing": erasing}, before=False)
    return "80 to 95 % of each image erased"


@kind("augmentation", "too_much_augmentation")
def drowned_in_noise(base: Base, random_: random.Random) -> str:
    std = random_.choice([0.7, 1.5])
    _augment(base, {"noise": {"std": std}})
    return f"noise of {std}"


@kind("augmentation", "too_much_augmentation")
def sheared(base: Base, random_: random.Random) -> str:
    if base.data.name == "planted_colours":
        return ""
    _augment(base, {"affine": {"shear": 70, "scale": [0.3, 2.5], "translate": 0.5}})
    return "sheared, scaled and moved out of sight"


@kind("split", "splits_differ")
def evaluated_enlarged(base: Base, random_: random.Random) -> str:
    if base.data.name == "planted_colours":
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
