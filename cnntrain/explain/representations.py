"""The layers of two networks, each compared with each, on the same images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from typing import Any

import torch
from torch import Tensor

from cnntrain.core.errors import UsageError
from cnntrain.core.kinds import Split
from cnntrain.core.problems import near_match
from cnntrain.core.units import byte_size
from cnntrain.data.decode import converted
from cnntrain.data.splits import Files, Part, Pixels, from_picture
from cnntrain.explain.similarity import LEAST, Representation, memory, similarities
from cnntrain.explain.similarity_map import draw_similarities, similarities_table
from cnntrain.model.find_layers import matching_layers, outermost
from cnntrain.model.images import SplitImages, find_images
from cnntrain.model.model import Model
from cnntrain.model.taps import Tap, features
from cnntrain.show.image_table import Picture
from cnntrain.show.words import listed

FEATURES = 2**14
"""Maps are averaged over regions where a layer gives more numbers than this."""

BLOCK = 2**28
"""Bytes of the features that are held of some images at a time; the others' are read again."""

MEMORY = 2**33
"""Bytes that all inner products may take."""


@dataclass(frozen=True)
class Side:
    """One of two networks that are compared.

    Args:
        name: what to call it.
        model: the network.
        layers: the names of those that are compared.
    """

    name: str
    model: Model
    layers: tuple[str, ...]


def two_sides(
    models: tuple[Model, Model], *, names: tuple[str, str], patterns: Sequence[str] = ()
) -> tuple[Side, Side]:
    """Two networks with the layers that are to be compared.

    Args:
        models: the networks.
        names: what to call them.
        patterns: see `matching_layers`; by default all outermost layers that change anything.

    Raises:
        UsageError: a pattern matches no layer of either, or none of them one of a network.
    """
    for pattern in patterns:
        if not any(matching_layers(model, [pattern]) for model in models):
            known = dict.fromkeys(name for model in models for name in model.layers)
            near = near_match(pattern, known)
            raise UsageError(
                f"neither network has a layer '{pattern}'",
                remedy=f"did you mean '{near}'?" if near else _known(models[0]),
            )
    sides = []
    for model, name in zip(models, names, strict=True):
        found = matching_layers(model, patterns) if patterns else outermost(model)
        if not found:
            message = f"{name} has no layer {' or '.join(map(repr, patterns))}"
            raise UsageError(message, remedy=f"add one of it to --layers: {_known(model)}")
        sides.append(Side(name, model, tuple(found)))
    return sides[0], sides[1]


def _known(model: Model) -> str:
    return f"its layers are {listed(outermost(model), most=12)} (`cnntrain summary` shows all)"


def compare_representations(
    sides: tuple[Side, Side], *, split: Split | None = None, limit: int = 1000
) -> Picture:
    """Linear CKA and RSA between the layers of two networks (see `similarity`).

    Both read the same images, those of the first one's data, each prepared as its own run says.

    Args:
        sides: see `two_sides`.
        split: of the first one's data; see `find_images`.
        limit: so many images at most, drawn at random, always the same ones.

    Raises:
        UsageError: there are too few images, too many to compare so many layers, or they have
            another size than the second network reads.
    """
    first, second = sides
    images = find_images(first.model, split=split, limit=limit)
    count = len(images.positions)
    if count < LEAST:
        raise UsageError(f"{images.described} are too few to compare", remedy="raise --images")
    needed = memory(count, (len(first.layers), len(second.layers)))
    if needed > MEMORY:
        raise UsageError(
            f"{len(first.layers)} x {len(second.layers)} layers and {count:,} images take "
            f"up to {byte_size(needed)} of memory, more than {byte_size(MEMORY)}",
            remedy="lower --images, or name fewer --layers",
        )
    with first.model.running():
        ours = represent(images, first.layers)
    with second.model.running():
        theirs = represent(_for_other(images, second), second.layers)
    found = similarities(list(ours.values()), list(theirs.values()))
    facts = {
        "split": images.split,
        "images": count,
        "images_of": first.name,
        "a": _facts(first, ours),
        "b": _facts(second, theirs),
        **{name: values.tolist() for name, values in found.items()},
    }
    what = f"{images.described} (the data of {first.name})"
    names, layers = (first.name, second.name), (first.layers, second.layers)
    figure = draw_similarities(found, names=names, layers=layers, title=f"Compared on {what}")
    text = "\n".join([*_remarks(sides, (ours, theirs), found), f"on {what}"])
    return Picture(figure, facts, text, similarities_table(found, names=names, layers=layers))


def represent(images: SplitImages, layers: Sequence[str]) -> dict[str, Representation]:
    """What `similarities` needs of each layer: the features of all images are never held at once.

    Blocks of images are multiplied with each other, so with B of them the network reads the images
    (B + 1) / 2 times.
    """
    model, count = images.model, len(images.positions)
    taps = [Tap(name) for name in layers]
    numbers = sum(min(math.prod(model.layers[name].out_shape), FEATURES) for name in layers)
    block = max(1, BLOCK // (4 * numbers))
    blocks = [range(start, min(start + block, count)) for start in range(0, count, block)]
    inner = {tap: torch.empty(count, count, dtype=torch.float64) for tap in taps}
    means = {tap: torch.empty(count, dtype=torch.float64) for tap in taps}
    widths: dict[Tap, int] = {}
    rows: dict[Tap, Tensor] = {}
    for one, other in combinations_with_replacement(blocks, 2):
        others = _features(images, other, taps)
        rows = others if one is other else rows
        for tap, values in others.items():
            right = values.double()
            left = right if one is other else rows[tap].double()
            products = left @ right.T
            inner[tap][one.start : one.stop, other.start : other.stop] = products
            inner[tap][other.start : other.stop, one.start : one.stop] = products.T
            means[tap][other.start : other.stop] = right.mean(dim=1)
            widths[tap] = right.shape[1]
    return {str(tap): Representation(inner[tap], means[tap], widths[tap]) for tap in taps}


def _features(images: SplitImages, block: range, taps: Sequence[Tap]) -> dict[Tap, Tensor]:
    with images.opened(block) as loader:
        return features(images.model.net, loader, taps=taps, limit=FEATURES)[0]


def _for_other(images: SplitImages, side: Side) -> SplitImages:
    """The same images, as another network reads them.

    Raises:
        UsageError: they have another size.
    """
    model = side.model
    part = _with_channels(images.part.select(images.positions), model.in_shape[0])
    moved = replace(images, model=model, part=part, positions=torch.arange(len(part)))
    found = tuple(moved.at([0]).shape[1:])
    if found != model.in_shape:
        sizes = [" x ".join(map(str, shape)) for shape in (found, model.in_shape)]
        raise UsageError(
            f"the first run's images are {sizes[0]} after the transforms of {side.name}, which "
            f"reads {sizes[1]} (channels x height x width)",
            remedy="name the other run first, whose images are then used",
        )
    return moved


def _with_channels(part: Part, channels: int) -> Part:
    if part.channels == channels:
        return part
    if isinstance(part, Files):
        return replace(part, channels=channels, stored=None)
    pictures = [
        converted(part.open(number), channels=channels, name=part.label(number))
        for number in range(len(part))
    ]
    return Pixels(torch.stack([from_picture(picture) for picture in pictures]), part.targets)


def _facts(side: Side, found: dict[str, Representation]) -> dict[str, Any]:
    layers = [
        {
            "name": name,
            "shape": list(side.model.layers[name].out_shape),
            "features": each.width,
            "constant": each.is_constant,
            "flat_images": int(each.flat.sum()),
        }
        for name, each in found.items()
    ]
    return {"network": side.name, "checkpoint": str(side.model.path), "layers": layers}


def _remarks(
    sides: tuple[Side, Side],
    found: tuple[dict[str, Representation], dict[str, Representation]],
    values: dict[str, Tensor],
) -> list[str]:
    """What to know about the numbers, a sentence each."""
    said = []
    first, second = sides
    data = [side.model.loaded.config.data for side in sides]
    if (data[0].name, data[0].parameters) != (data[1].name, data[1].parameters):
        said.append(f"the runs' data differ: both networks are shown the images of {first.name}")
    if first.layers == second.layers and len(first.layers) > 1:
        best = values["cka"].nan_to_num(-1).argmax(dim=1).tolist()
        same = sum(number == place for place, number in enumerate(best))
        said.append(
            f"the most alike layer (by CKA) is the one of the same name for {same} of "
            f"{len(best)} layers"
        )
    for side, each in zip(sides, found, strict=True):
        shapes = {name: side.model.layers[name].out_shape for name in each}
        if pooled := [name for name in each if each[name].width < math.prod(shapes[name])]:
            said.append(f"{side.name}: maps of {listed(pooled)} are averaged over regions, to at "
                        f"most {FEATURES:,} numbers")  # fmt: skip
        if constant := [name for name, what in each.items() if what.is_constant]:
            said.append(f"{side.name}: {listed(constant)}: the same for all images, so CKA is "
                        "undefined")  # fmt: skip
        if flat := [name for name, what in each.items() if what.flat.any()]:
            said.append(f"{side.name}: {listed(flat)}: the same number everywhere for some images, "
                        "so RSA is undefined")  # fmt: skip
    return said
