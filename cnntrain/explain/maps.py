"""The feature maps of one image at a layer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from cnntrain.core.kinds import Split
from cnntrain.explain import picture
from cnntrain.explain.shown import show_images
from cnntrain.model.find_layers import find_layer
from cnntrain.model.model import Model
from cnntrain.model.taps import Tap, tapped
from cnntrain.show.image_table import Cell, Picture, Scale, columns_for, draw_table, heat
from cnntrain.show.pixels import Pixels, magnified, photographs
from cnntrain.show.tiles import numbered, ruled

MOST = 256


def draw_maps(
    image: Pixels, values: Tensor, *, name: str, label: str, classes: Sequence[str] | None = None
) -> Figure:
    """All maps on one colour scale beside the image, so that dead maps are seen to be dead.

    Values that are positive everywhere go from zero; others have a scale around zero. The scale
    ends at the 99.8th percentile of the magnitudes: one outlier would darken everything. Maps are
    numbered from 0; one number for each class is drawn as a bar.

    Args:
        image: (H, W, 3), called `label`.
        values: what the layer `name` gives, (C, H, W) or (F,).
        classes: if each map, or number, stands for a class.
    """
    values = values.detach().float().cpu()
    if values.ndim == 1 and classes is not None:
        return _bars(image, values, f"{name}: a number for each class\n{label}", classes)
    maps = values.view(len(values), *(values.shape[1:] or (1, 1)))
    silent = int((maps.flatten(1) == 0).all(dim=1).sum())
    what = "units" if values.ndim == 1 else f"maps of {maps.shape[1]} x {maps.shape[2]}"
    title = f"{name}: {len(maps)} {what}"
    if silent:
        title += f"; {silent} {'is' if silent == 1 else 'are'} zero everywhere"
    folded = values.ndim == 1 and len(values) > MOST
    shown = maps if folded else maps[:MOST]
    title += f"; the first {MOST}" if len(shown) < len(maps) else ""
    top = float(np.percentile(np.abs(shown.numpy()), 99.8)) or 1.0
    is_signed = bool((shown < 0).any())
    low, colours = (-top, "RdBu_r") if is_signed else (0.0, "viridis")
    tiles = np.stack([heat(each, low=low, high=top, colours=colours) for each in shown.numpy()])
    if folded:
        columns = math.ceil(math.sqrt(len(tiles)))
        title += f"\nin rows of {columns}; at the left the number of a row's first unit"
        cell, side = _folded(tiles, columns, title)
    else:
        columns = columns_for(len(tiles))
        cell, side = numbered(tiles, columns=columns, title=title, names=classes)
    factor = max(1, min(cell.image.shape[:2]) // max(image.shape[:2]))
    return draw_table(
        [[Cell(magnified(image[None], factor)[0], label), cell]],
        title=title,
        side=side,
        scale=Scale(colours, f"{low:.3g}" + " or less" * is_signed, f"{top:.3g} or more"),
    )


def _folded(tiles: Pixels, columns: int, title: str) -> tuple[Cell, float]:
    """Single pixels (N, 1, 1, 3) in rows, each row a tile."""
    rows = -(-len(tiles) // columns)
    padded = np.ones((rows * columns, 3), dtype=np.float32)
    padded[: len(tiles)] = tiles[:, 0, 0]
    strips = magnified(padded.reshape(rows, 1, columns, 3), 4)
    return ruled(strips, columns=1, title=title, across=False, every=4, by=columns)


def _bars(image: Pixels, values: Tensor, title: str, classes: Sequence[str]) -> Figure:
    figure = Figure(figsize=(7.0, max(2.4, 1.0 + 0.2 * len(classes))), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 2.2))
    left.imshow(np.clip(image, 0, 1), interpolation="nearest")
    left.set_axis_off()
    places = range(len(classes))
    top = int(values.argmax())
    right.barh(places, values.tolist(), color=["C3" if i == top else "0.6" for i in places])
    right.set_yticks(list(places), list(classes), fontsize=8, parse_math=False)
    right.set_ylim(len(classes) - 0.5, -0.5)
    right.grid(axis="x", color="0.9")
    right.set_axisbelow(True)
    figure.suptitle(title, fontsize=10, x=0.02, ha="left", parse_math=False)
    return figure


@picture("maps")
def maps(
    *,
    model: Model,
    layer: str | None = None,
    image: str | None = None,
    split: Split | None = None,
) -> Picture:
    """What a layer gives for one image.

    Args:
        image: an image file, or the number of an image of the split.
    """
    weighted = [node.name for node in model.plan.body.nodes if node.parameters]
    name = layer or weighted[0]
    find_layer(model, name)
    shown = show_images(model, [image] if image else [], split=split, usual=1)
    with torch.inference_mode(), tapped(model.net, [Tap(name)]) as found:
        model.net(shown.images)
    values = found[Tap(name)][0].float().cpu()
    pixels = photographs(shown.images, scaling=model.scaling)[0]
    classes = model.classes if _for_classes(model, name) else None
    figure = draw_maps(pixels, values, name=name, label=shown.labels[0], classes=classes)
    return Picture(figure, {"layer": name, "shape": list(values.shape), "image": shown.labels[0]})


def _for_classes(model: Model, name: str) -> bool:
    """Whether a layer gives a map, or a number, for each class: no later one has weights."""
    nodes = [node.name for node in model.plan.body.nodes]
    if name not in nodes or model.layers[name].out_shape[0] != len(model.classes):
        return False
    later = model.plan.body.nodes[nodes.index(name) + 1 :]
    return not any(node.parameters for node in later)
