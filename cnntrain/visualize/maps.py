"""The feature maps of one image at a layer."""

from __future__ import annotations

import math

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from cnntrain.visualize.pixels import Pixels, heat, magnified, mosaic
from cnntrain.visualize.table import Cell, Scale, columns_for, draw_table

MOST = 256


def draw_maps(image: Pixels, values: Tensor, *, name: str, label: str) -> Figure:
    """All maps on one colour scale beside the image, so that dead maps are seen to be dead.

    Values that are positive everywhere go from zero; others have a scale around zero. The scale
    ends at the 99.8th percentile of the magnitudes: one outlier would darken everything.

    Args:
        image: (H, W, 3).
        values: what the layer gives, (C, H, W) or (F,).
        name: of the layer.
        label: of the image.
    """
    values = values.detach().float().cpu()
    flat = values.ndim == 1
    maps = _folded(values)[None] if flat else values
    shown = maps[:MOST]
    top = float(np.nanpercentile(np.abs(shown.numpy()), 99.8)) or 1.0
    is_signed = bool((shown < 0).any())
    low, colours = (-top, "RdBu_r") if is_signed else (0.0, "viridis")
    tiles = np.stack([heat(each, low=low, high=top, colours=colours) for each in shown.numpy()])
    factor = max(1, round(48 / max(tiles.shape[1:3])))
    sheet = mosaic(magnified(tiles, factor), columns=columns_for(len(tiles)), gap=3)
    count = len(values) if flat else len(maps)
    unused = int((values == 0).sum()) if flat else int((maps.flatten(1) == 0).all(dim=1).sum())
    what = (
        f"{count} units, folded" if flat else f"{count} maps of {maps.shape[1]} x {maps.shape[2]}"
    )
    more = "" if count <= MOST or flat else f", the first {MOST}"
    silent = f"; {unused} {'are' if unused != 1 else 'is'} zero everywhere" if unused else ""
    side = min(10.0, max(3.5, max(sheet.shape[:2]) / 80))
    beside = magnified(image[None], max(1, min(sheet.shape[:2]) // max(image.shape[:2])))[0]
    return draw_table(
        [[Cell(beside, label), Cell(sheet)]],
        title=f"{name}: {what}{more}{silent}",
        side=side,
        scale=Scale(colours, f"{low:.3g}" + " or less" * is_signed, f"{top:.3g} or more"),
    )


def _folded(values: Tensor) -> Tensor:
    """(F,) in rows of about the square root of F, the rest not a number."""
    width = math.ceil(math.sqrt(len(values)))
    rows = -(-len(values) // width)
    padded = torch.full((rows * width,), torch.nan)
    padded[: len(values)] = values
    return padded.view(rows, width)
