"""The second lot of faults in images, labels, splits and transforms."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

from planting import edits
from planting.edits import before_normalize, has_objects, has_several
from planting.healthy import Base
from planting.kinds import kind

second = partial(kind, lot=2)


spoiled = partial(edits.spoiled, lot=2)

spoiled("unlabelled_as_first", "data", "labels_noisy", least=0.6, most=0.8)
spoiled("labels_folded", "data", "class_missing", "labels_noisy", least=0.5, most=0.5,
        fits=has_several)  # fmt: skip
spoiled("second_annotator", "data", "labels_noisy", "labels_shifted", least=0.5, most=0.65)
spoiled("near_copies", "data", "too_few_images", "does_not_generalise", "same_picture",
        least=0.01, most=0.02)  # fmt: skip
spoiled("files_cut_short", "data", "splits_differ", least=0.9, most=1.0, fits=has_objects)
spoiled("long_tail", "data", "uneven_classes", least=0.5, most=0.5)
spoiled("channels_interleaved", "data", "misread_pixels", least=0.5, most=0.5,
        fits=lambda base: base.data.channels == 3)  # fmt: skip
spoiled("colour_lost", "data", least=0.5, most=0.5, fits=lambda base: not base.data.hue)
spoiled("split_by_class", "split", "class_missing", "splits_differ", least=0.5, most=0.5,
        fits=has_several)  # fmt: skip
spoiled("brightness_wrapped", "split", "splits_differ", least=0.8, most=1.0)
spoiled("validation_letterboxed", "split", "splits_differ", least=0.5, most=0.65, fits=has_objects)
spoiled("validation_covered", "split", "splits_differ", least=0.5, most=0.7, fits=has_objects)


@second("data", "too_few_images", "does_not_generalise")
def debug_subset(base: Base, random_: random.Random) -> str:
    count = base.data.classes * random_.choice([2, 3, 4])
    base.tree["data"]["split"] = {"train": count}
    return f"{count} training images, left from a first try"


@second("augmentation", "too_much_augmentation")
def padded_too_far(base: Base, random_: random.Random) -> str:
    if not has_objects(base):
        return ""
    size = base.data.size
    padding = round(size * random_.choice([1.0, 1.5]))
    before_normalize(base, "train", {"random_crop": {"size": size, "padding": padding}})
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
    if not has_objects(base):
        return ""
    size, side = base.data.size, 3 if base.data.size < 16 else random_.choice([4, 5])
    for part in ("train", "eval"):
        steps = ({"resize": {"size": side}}, {"resize": {"size": size}})
        before_normalize(base, part, *steps)
    return f"resized to {side} x {side} and back"


@second("augmentation", "too_much_augmentation")
def operations_in_a_row(base: Base, random_: random.Random) -> str:
    number = random_.choice([8, 12])
    strong = {"rand_augment": {"num_ops": number, "magnitude": 30}}
    before_normalize(base, "train", strong)
    return f"{number} operations of full strength on each image"


@second("split", "splits_differ")
def evaluated_coarsely(base: Base, random_: random.Random) -> str:
    if not has_objects(base):
        return ""
    size, side = base.data.size, 3 if base.data.size < 16 else random_.choice([5, 6])
    steps = ({"resize": {"size": side}}, {"resize": {"size": size}})
    before_normalize(base, "eval", *steps)
    return f"evaluation sees thumbnails of {side} x {side}, enlarged"
