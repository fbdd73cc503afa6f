"""What units answer to most: images, and the parts of them in the units' receptive field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from cnntrain.arch.receptive import Axis, Field
from cnntrain.core.errors import UsageError
from cnntrain.core.kinds import Count, Numbers, Positive, Split
from cnntrain.data.batch import Loader
from cnntrain.explain import picture
from cnntrain.model.find_layers import find_layer, last_maps
from cnntrain.model.images import find_images
from cnntrain.model.model import Model
from cnntrain.model.taps import Tap, tapped
from cnntrain.show.image_table import Cell, Picture, draw_table
from cnntrain.show.pixels import NOTHING, Pixels, photographs


@dataclass(frozen=True)
class Answer:
    """What a unit says to an image (a position in the loader's order), and where in its map."""

    image: int
    value: float
    row: int
    column: int


@dataclass(frozen=True)
class Strongest:
    """For each unit its strongest answers to `seen` images, one per image, in descending order.

    All are (U, K): the values, the images' positions in the loader's order, and where in the map
    (0 for a flat layer).
    """

    values: Tensor
    images: Tensor
    rows: Tensor
    columns: Tensor
    seen: int

    def alive(self) -> list[int]:
        """The units that are above zero for some image, those with the strongest answer first."""
        first = self.values[:, 0]
        order = first.argsort(descending=True).tolist()
        return [unit for unit in order if first[unit] > 0]

    def answers(self, unit: int) -> list[Answer]:
        """Those of one unit."""
        columns = (self.images, self.values, self.rows, self.columns)
        return list(map(Answer, *(each[unit].tolist() for each in columns)))


def strongest(net: nn.Module, loader: Loader, *, layer: str, most: int = 9) -> Strongest:
    """Run every image through the network and keep each unit's strongest answers.

    A unit of a layer with maps is a map; its answer to an image is the largest value in it
    (Zeiler and Fergus 2014, figure 2). The net is in evaluation mode, the loader in stored order.
    """
    tap, seen, width = Tap(layer), 0, 1
    kept: list[Tensor] = []
    with torch.inference_mode(), tapped(net, [tap]) as found:
        for batch in loader.batches(0):
            net(batch.images)
            maps = found[tap].float().cpu()
            width = maps.shape[3] if maps.ndim == 4 else 1
            top, where = maps.flatten(2).max(dim=2) if maps.ndim == 4 else (maps, maps * 0)
            number = torch.arange(seen, seen + len(top))[None].expand(top.shape[1], -1)
            new = [top.T, number, where.long().T]
            if kept:
                new = [torch.cat(pair, dim=1) for pair in zip(kept, new, strict=True)]
            order = new[0].topk(min(most, new[0].shape[1]), dim=1).indices
            kept = [each.gather(1, order) for each in new]
            seen += len(top)
    values, images, places = kept
    return Strongest(values, images, places // width, places % width, seen)


@dataclass(frozen=True)
class Answers:
    """The strongest answers of some units of a layer, and the images that they are to.

    Args:
        layer: its name.
        field: what one of its units sees.
        peaks: the answers of all units.
        units: those that are looked at.
        images: by number, (1, C, H, W) as the network sees them; `pixels`: (H, W, 3).
        facts: plain data.
    """

    layer: str
    field: Field | None
    peaks: Strongest
    units: list[int]
    images: dict[int, Tensor]
    pixels: dict[int, Pixels]
    facts: dict[str, Any]


def answers(
    model: Model,
    layer: str | None,
    *,
    units: Sequence[int],
    count: int,
    split: Split | None,
    limit: int,
) -> Answers:
    """What `units` of a layer answer to most; see the pictures `patches` and `deconv`."""
    name = layer or last_maps(model)
    node = find_layer(model, name)
    for unit in units:
        if unit >= node.out_shape[0]:
            message = f"the layer '{name}' has no unit {unit}"
            raise UsageError(message, remedy=f"it has 0 to {node.out_shape[0] - 1}")
    data = find_images(model, split=split, limit=limit)
    with data.opened() as loader:
        peaks = strongest(model.net, loader, layer=name)
    chosen = _units(peaks, units, count, name)
    numbers = sorted(set(peaks.images[chosen].flatten().tolist()))
    images = data.at(numbers)
    facts = []
    for unit in chosen:
        said = [{**vars(each), "image": data.label(each.image)} for each in peaks.answers(unit)]
        facts.append({"unit": unit, "answers": said})
    return Answers(
        layer=name,
        field=node.receptive_field,
        peaks=peaks,
        units=chosen,
        images=dict(zip(numbers, torch.split(images, 1), strict=True)),
        pixels=dict(zip(numbers, photographs(images, scaling=model.scaling), strict=True)),
        facts={"layer": name, "split": data.split, "images": peaks.seen, "units": facts},
    )


def _units(peaks: Strongest, wanted: Sequence[int], count: int, name: str) -> list[int]:
    """The units asked for; else `count` of the active ones, evenly from strong to weak."""
    if wanted:
        return list(wanted)
    alive = peaks.alive()
    if not alive:
        raise UsageError(
            f"no unit of '{name}' is ever above zero", remedy="name units with --unit to see them"
        )
    places = torch.linspace(0, len(alive) - 1, min(count, len(alive))).round().int().tolist()
    return [alive[place] for place in places]


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
