"""Transforms that contradict each other, the data, or what is done in evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cnntrain.config.loaded import TRANSFORMS_AT, Loaded
from cnntrain.core.document import KeyPath
from cnntrain.core.problems import Problem
from cnntrain.core.target_forms import has_image
from cnntrain.data import TRANSFORMS
from cnntrain.data.metadata import facts


def broken_transform_rules(given: Loaded) -> Iterator[Problem]:
    """Whether both lists scale pixels alike, and all that transforms say of themselves."""
    for each in TRANSFORMS.entries():
        if each.options.get("scales"):
            yield from _scaling(given, each.name)
    yield from _transforms(given)
    whitens = any(call.name == "zca" for call in given.config.data.transforms.eval)
    if whitens and given.config.train is not None and given.config.train.evaluate_views > 1:
        message = "views are mirrored and moved, and zca whitens each pixel for its place"
        yield given.problem(("train", "evaluate_views"), message, "remove it, or take normalize")


def _scaling(given: Loaded, name: str) -> Iterator[Problem]:
    """What scales pixels does so in the same way in training and in evaluation."""
    transforms = given.config.data.transforms
    calls = {
        split: [(i, call) for i, call in enumerate(side) if call.name == name]
        for split, side in (("train", transforms.train), ("eval", transforms.eval))
    }
    for split, other in (("train", "eval"), ("eval", "train")):
        path = (*TRANSFORMS_AT, split)
        if len(calls[split]) > 1:
            first = given.at(*path, calls[split][0][0])
            message = f"'{name}' is given a second time ({first})"
            yield given.problem((*path, calls[split][1][0]), message, "remove one of the two")
        if calls[split] and not calls[other]:
            there = given.at(*TRANSFORMS_AT, other)
            message = f"'{name}' is done in {split}, but not in {other} ({there})"
            yield given.problem((*path, calls[split][0][0]), message, f"add it to {other}")
    if calls["train"] and calls["eval"]:
        (at_train, train), (at_eval, evaluation) = calls["train"][0], calls["eval"][0]
        if train.parameters != evaluation.parameters:
            there = given.at(*TRANSFORMS_AT, "train", at_train)
            message = f"'{name}' differs from the one in train ({there})"
            path = (*TRANSFORMS_AT, "eval", at_eval)
            keys = " and ".join(each.name for each in TRANSFORMS.entry(name).parameters)
            yield given.problem(path, message, f"give both the same {keys}")


def _transforms(given: Loaded) -> Iterator[Problem]:
    """What a transform says of itself: `random=True`, `before_normalize=True`; its numbers."""
    transforms = given.config.data.transforms
    for split, calls in (("train", transforms.train), ("eval", transforms.eval)):
        normalized = ""
        for index, call in enumerate(calls):
            path = (*TRANSFORMS_AT, split, index)
            options = TRANSFORMS.entry(call.name).options
            is_fixed = has_image(given.config.task.wanted) and options.get("corrupts")
            if split == "eval" and options.get("random") and not is_fixed:
                message = f"'{call.name}' is random, but evaluation must not be"
                yield given.problem(path, message, "move it to data.transforms.train")
            if normalized and options.get("before_normalize"):
                message = f"'{call.name}' must stand before 'normalize' ({normalized})"
                yield given.problem(path, message, "change the order")
            if call.name == "normalize":
                normalized = given.at(*path)
                yield from _statistics(given, (*path, "normalize"), call.parameters)


def _statistics(given: Loaded, path: KeyPath, numbers: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with `mean` and `std`."""
    data = given.config.data
    for key, other in (("mean", "std"), ("std", "mean")):
        if numbers.get(key) is None:
            continue
        if numbers.get(other) is None:
            message = f"'{key}' is given without '{other}'"
            yield given.problem((*path, key), message, f"add {other}, or remove {key}")
        channels = facts(data.name, data.parameters).channels
        if len(numbers[key]) != channels:
            images = f"the images of '{data.name}' have {channels} channels"
            there = given.at("data", "name")
            message = f"'{key}' has {len(numbers[key])} numbers, but {images} ({there})"
            yield given.problem((*path, key), message, f"give {channels}")
