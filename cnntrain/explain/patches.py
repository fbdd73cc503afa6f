"""The parts of images that units answer to most, cut out by the units' receptive field."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from cnntrain.arch.receptive import Axis, Field
from cnntrain.core.kinds import Count, Numbers, Positive, Split
from cnntrain.explain import picture
from cnntrain.explain.strongest import Answer, Answers, answers
from cnntrain.model.model import Model
from cnntrain.show.image_table import Cell, Picture, draw_table
from cnntrain.show.pixels import NOTHING, Pixels


def cut(image: Pixels, field: Field | None, *, row: int, column: int) -> Pixels:
    """What the unit at a place of its map sees of an image (H, W, 3).

    Returns:
        (field height, field width, 3), what lies in the padding in light grey; the image, where the
        field is the whole of it, or more, or is unknown.
    """
    height, width = image.shape[:2]
    if _is_whole(field, height, width):
        return image
    assert field is not None
    top, bottom = _extent(field.height, row)
    left, right = _extent(field.width, column)
    patch: Pixels = np.full((bottom - top, right - left, 3), NOTHING, dtype=np.float32)
    inner = image[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    y, x = max(-top, 0), max(-left, 0)
    patch[y : y + inner.shape[0], x : x + inner.shape[1]] = inner
    return patch


def _extent(axis: Axis, number: int) -> tuple[int, int]:
    """First pixel, and the one after the last, that unit `number` sees; may be outside."""
    first = round(axis.start + number * axis.jump - (axis.size - 1) / 2)
    return first, first + axis.size


def _is_whole(field: Field | None, height: int, width: int) -> bool:
    return (
        field is None or field.whole or (field.height.size >= height and field.width.size >= width)
    )


def field_in_words(found: Answers) -> str:
    """The receptive field of the layer, and whether it is the whole image."""
    field, image = found.field, next(iter(found.pixels.values()))
    if field is None:
        return "whole images (the layer's receptive field is not known)"
    if field.whole:
        return "whole images (every unit sees all of it)"
    size = f"receptive field {field.height.size} x {field.width.size} pixels"
    return size + (": whole images" if _is_whole(field, *image.shape[:2]) else "")


def patches_of(found: Answers, unit: int) -> list[tuple[Pixels, Answer]]:
    """The patches of a unit with its answers, the strongest first."""
    return [
        (cut(found.pixels[each.image], found.field, row=each.row, column=each.column), each)
        for each in found.peaks.answers(unit)
    ]


def draw_patches(found: Answers) -> Figure:
    """A row per unit, the strongest answer at the left, with the answers below."""
    return draw_table(
        [
            [Cell(patch, f"{answer.value:.3g}") for patch, answer in patches_of(found, unit)]
            for unit in found.units
        ],
        title=f"{found.layer}: what units answer to most among {found.peaks.seen:,} images\n"
        f"{field_in_words(found)}",
        labels=[f"unit {unit}" for unit in found.units],
        side=1.0,
    )


@picture("patches")
def patches(
    *,
    model: Model,
    layer: str | None = None,
    units: Numbers = (),
    count: Count = 8,
    split: Split | None = None,
    limit: Positive = 2000,
) -> Picture:
    """What units answer to most, cut out by their receptive field.

    Args:
        units: a map of the layer, counted from 0. Repeatable.
        count: units where none is named.
    """
    found = answers(model, layer, units=units, count=count, split=split, limit=limit)
    return Picture(draw_patches(found), found.facts)
