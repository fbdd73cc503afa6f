"""The second lot of faults in images, labels, splits and transforms."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

from planting.healthy import Base
from planting.kinds import kind

second = partial(kind, lot=2)


def _spoil(base: Base, random_: random.Random, how: str, *, least: float, most: float) -> str:
    amount = round(random_.uniform(least, most), 2)
    base.tree["data"] |= {"spoil": how, "amount": amount, "seed": random_.randrange(100)}
    return f"{how.replace('_', ' ')}, {amount}"


@second("data", "labels_noisy")
def unlabelled_as_first(base: Base, random_: random.Random) -> str:
    return _spoil(base, random_, "unlabelled_as_first", least=0.6, most=0.8)


@second("data", "class_missing", "labels_noisy")
def labels_folded(base: Base, random_: random.Random) -> str:
    if base.data.classes == 2:
        return ""
    return _spoil(base, random_, "labels_folded", least=0.5, most=0.5)


@second("data", "labels_noisy", "labels_shifted")
def second_annotator(base: Base, random_: random.Random) -> str:
    return _spoil(base, random_, "second_annotator", least=0.5, most=0.65)


@second("data", "too_few_images", "does_not_generalise")
def near_copies(base: Base, random_: random.Random) -> str:
    return _spoil(base, random_, "near_copies", least=0.01, most=0.02)


@second("data", "splits_differ")
def files_cut_short(base: Base, random_: random.Random) -> str:
    if base.data.name == "planted_colours":
        return ""
    return _spoil(base, random_, "files_cut_short", least=0.9, most=1.0)


@second("data", "uneven_classes")
def long_tail(base: Base, random_: random.Random) -> str:
    return _spoil(base, random_, "long_tail", least=0.5, most=0.5)


@second("data", "misread_pixels")
def channels_interleaved(base: Base, random_: random.Random) -> str:
    if base.data.channels != 3:
        return ""
    return _spoil(base, random_, "channels_interleaved", least=0.5, most=0.5)


@second("data")
def colour_lost(base: Base, random_: random.Random) -> str:
    if base.data.hue:
        return ""
    return _spoil(base, random_, "colour_lost", least=0.5, most=0.5)


@second("split", "class_missing", "splits_differ")
def split_by_class(base: Base, random_: random.Random) -> str:
    if base.data.classes == 2:
        return ""
    return _spoil(base, random_, "split_by_class", least=0.5, most=0.5)


@second("split", "splits_differ")
def brightness_wrapped(base: Base, random_: random.Random) -> str:
    return _spoil(base, random_, "brightness_wrapped", least=0.8, most=1.0)


@second("split", "splits_differ")
def validation_letterboxed(base: Base, random_: random.Random) -> str:
    if base.data.name == "planted_colours":
        return ""
    return _spoil(base, random_, "validation_letterboxed", least=0.5, most=0.65)


@second("split", "splits_differ")
def validation_covered(base: Base, random_: random.Random) -> str:
    if base.data.name == "planted_colours":
        return ""
    return _spoil(base, random_, "validation_covered", least=0.5, most=0.7)


@second("data", "too_few_images", "does_not_generalise")
def debug_subset(base: Base, random_: random.Random) -> str:
    count = base.data.classes * random_.choice([2, 3, 4])
    base.tree["data"]["split"] = {"train": count}
    return f"{count} training images, left from a first try"


def _before_normalize(base: Base, part: str, *steps: Any) -> None:
    found = base.tree["data"]["transforms"][part]
    at = found.index("normalize")
    found[at:at] = list(steps)


@second("augmentation", "too_much_augmentation")
def padded_too_far(base: Base, random_: random.Random) -> str:
    if base.data.name == "planted_colours":
        return ""
    size = base.data.size
    padding = round(size * random_.choice([1.0, 1.5]))
    _before_normalize(base, "train", {"random_crop": {"size": size, "padding": padding}})
    return f"crops of images with {padding} pixels of padding"


@second("augmentation", "too_much_augmentation")
def cropped_to_a_corner(base: Base, random_: random.Random) -> str:
    size = base.data.size
    if size < 20:
        return ""
    side = round(size * random_.choice([0.3, 0.35]))
    small: Any = {"random_crop": {"size": side}}
    large: Any = {"resize": {"size": size}}
    steps = base.tree["data"]["transforms"]
    steps["train"] = [small, large, "normalize"]
    steps["eval"] = [{"center_crop": {"size": side}}, large, "normalize"]
    return f"nothing but {side} x {side} of {size} x {size} pixels is seen"


@second("data", "pooled_early")
def detail_resized_away(base: Base, random_: random.Random) -> str:
    if base.data.name == "planted_colours":
        return ""
    size, side = base.data.size, 3 if base.data.size < 16 else random_.choice([4, 5])
    for part in ("train", "eval"):
        steps = ({"resize": {"size": side}}, {"resize": {"size": size}})
        _before_normalize(base, part, *steps)
    return f"resized to {side} x {side} and back"


@second("augmentation", "too_much_augmentation")
def operations_in_a_row(base: Base, random_: random.Random) -> str:
    number = random_.choice([8, 12])
    strong = {"rand_augment": {"num_ops": number, "magnitude": 30}}
    _before_normalize(base, "train", strong)
    return f"{number} operations of full strength on each image"


@second("split", "splits_differ")
def evaluated_coarsely(base: Base, random_: random.Random) -> str:
    if base.data.name == "planted_colours":
        return ""
    size, side = base.data.size, 3 if base.data.size < 16 else random_.choice([5, 6])
    steps = ({"resize": {"size": side}}, {"resize": {"size": size}})
    _before_normalize(base, "eval", *steps)
    return f"evaluation sees thumbnails of {side} x {side}, enlarged"
