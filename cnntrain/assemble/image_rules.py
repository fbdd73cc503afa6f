"""What crops and resizing leave of the images, by arithmetic: no image is read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress

from cnntrain.assemble.arch_edits import overriding
from cnntrain.config.loaded import TRANSFORMS_AT, Loaded
from cnntrain.config.section import Call
from cnntrain.core.document import KeyPath
from cnntrain.core.remark import Remark, at_line
from cnntrain.data.metadata import facts
from cnntrain.data.pipeline import planned_size
from cnntrain.data.windows import HeightWidth

CROPPED, MUCH_CROPPED = 0.4, 0.2
"""Share of an image's area that every crop leaves, for a suspicion and a fault. 224 of 256 pixels
leave 77 % (Krizhevsky et al. 2012), 24 of 32 leave 56 %."""

SMALL = 64
"""Pixels of a side up to which nothing is gained by making an image smaller."""

SHRUNK, MUCH_SHRUNK = 1 / 4, 1 / 8
"""Side of a resized image, of the stored one's."""


def image_remarks(loaded: Loaded) -> list[Remark]:
    """On the first transform of evaluation, else of training, that leaves too little."""
    transforms = loaded.config.data.transforms
    for split, calls in (("eval", transforms.eval), ("train", transforms.train)):
        found = list(_on(loaded, split, calls))
        if found:
            return found[:1]
    return []


def _on(loaded: Loaded, split: str, calls: tuple[Call, ...]) -> Iterator[Remark]:
    data = loaded.config.data
    stored = facts(data.name, data.parameters).size
    for place, call in enumerate(calls):
        before, after = (_size(stored, calls[:end]) for end in (place, place + 1))
        if before is None and place and calls[place - 1].name == "resize":
            side = calls[place - 1].parameters["size"]
            before = (side, side) if isinstance(side, int) else None
        path = (*TRANSFORMS_AT, split, place)
        where = at_line(loaded.document.places.values.get(path))
        named = f"'{call.name}' in data.transforms.{split}{where}"
        if call.name == "random_resized_crop":
            left = float(call.parameters["scale"][1])
        elif before is None or after is None:
            continue
        else:
            left = min(1.0, math.prod(after) / math.prod(before))
        if "crop" in call.name and left < CROPPED:
            yield Remark(
                "unseen_pixels",
                f"{named} leaves {left:.0%} of each image at the most",
                "crops take the middle in evaluation, and what is outside is never seen there",
                "make the crop larger, or `resize` the image to that size",
                is_certain=left < MUCH_CROPPED,
                overrides=_whole(loaded, stored),
            )
        elif call.name == "resize" and left <= SHRUNK**2:
            yield Remark(
                "pooled_early",
                f"{named} makes the images {math.sqrt(left):.2g} times as large",
                f"{_text(before)} pixels become {_text(after)}, before the network computes "
                "anything",
                "resize less, or leave it out",
                is_certain=left <= MUCH_SHRUNK**2,
                overrides=_less_resized(loaded, stored),
            )


def _calls(loaded: Loaded) -> Iterator[tuple[KeyPath, Call]]:
    transforms = loaded.config.data.transforms
    for split, calls in (("train", transforms.train), ("eval", transforms.eval)):
        yield from (((*TRANSFORMS_AT, split, place), call) for place, call in enumerate(calls))


def _whole(loaded: Loaded, stored: HeightWidth | None) -> tuple[str, ...]:
    """The whole image at the size of each crop; random parts of it are at least half of it."""
    found = []
    for path, call in _calls(loaded):
        if call.name == "random_resized_crop":
            if float(call.parameters["scale"][1]) < CROPPED:
                found.append(overriding((*path, call.name, "scale"), [0.5, 1.0]))
        elif "crop" in call.name:
            size = call.parameters["size"]
            sides = [size, size] if isinstance(size, int) else list(size)
            if stored is not None and max(sides) <= SHRUNK * max(stored):
                sides = _less(stored)
            found.append(overriding(path, {"resize": {"size": sides}}))
    return tuple(found)


def _less_resized(loaded: Loaded, stored: HeightWidth | None) -> tuple[str, ...]:
    """Images that are resized less; none if a crop follows."""
    names = [call.name for _, call in _calls(loaded)]
    if stored is None or any("crop" in name for name in names):
        return ()
    return tuple(
        overriding(path, {"resize": {"size": _less(stored)}})
        for path, call in _calls(loaded)
        if call.name == "resize"
    )


def _less(stored: HeightWidth) -> list[int]:
    """Half of the size of images, or all of it where they are small."""
    return [side if max(stored) <= SMALL else side // 2 for side in stored]


def _size(stored: HeightWidth | None, calls: tuple[Call, ...]) -> HeightWidth | None:
    """After these transforms; None where it is not known."""
    if not calls:
        return stored
    with suppress(ValueError):
        return planned_size(stored, [(call.name, call.parameters) for call in calls])
    return None


def _text(size: HeightWidth | None) -> str:
    return "x".join(map(str, size or ()))
