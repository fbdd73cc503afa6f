"""What TensorBoard shows of tensors: training images, the first filters, histograms of weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from cnntrain.show.pixels import coloured, magnified, mosaic, stretched

SAMPLE = 65_536  # values a parameter; a histogram of 64 bars needs no more
BARS = 64
_IMAGES, _FILTERS = 16, 64  # tiles shown at most
_TILE = 24  # pixels; smaller tiles are enlarged to about that


def images_picture(images: Tensor) -> Tensor:
    """The first of images (N, C, H, W) from 0 to 1 as a grid, (3, H', W').

    Of neither 1 nor 3 channels the first is shown.
    """
    return _grid(images[:_IMAGES].detach().float())


def filters_picture(net: nn.Module) -> Tensor | None:
    """The first convolution's filters, each stretched to the full range by itself, as a grid.

    Filters over 3 channels are shown in colour, others slice by slice in grey. (3, H', W') from 0
    to 1; None for a network without a two-dimensional convolution.
    """
    tiles = next((m.weight for m in net.modules() if isinstance(m, nn.Conv2d)), None)
    if tiles is None:
        return None
    if tiles.shape[1] != 3:
        tiles = tiles.flatten(0, 1).unsqueeze(1)
    return _grid(stretched(tiles[:_FILTERS]))


def _grid(tiles: Tensor) -> Tensor:
    """(N, C, H, W) from 0 to 1, in rows with a line of one grey pixel around each tile."""
    pixels = magnified(coloured(tiles), max(1, math.ceil(_TILE / max(tiles.shape[2:]))))
    sheet = mosaic(pixels, columns=math.ceil(math.sqrt(len(tiles))), edge=1, ground=0.5)
    return torch.from_numpy(sheet).permute(2, 0, 1)


@dataclass(frozen=True)
class Histogram:
    """Counts of one parameter's finite values in bars of equal width; `edges` are the right ones.

    `low` and `high` are the least and the greatest value, `total` and `squares` the sums of all
    and of their squares.
    """

    name: str
    values: int
    low: float
    high: float
    total: float
    squares: float
    edges: tuple[float, ...]
    counts: tuple[int, ...]


def weight_histograms(net: nn.Module) -> Iterator[Histogram]:
    """One histogram a parameter, of at most 65,536 of its values taken at even distances.

    The values come from the device in one transfer, so that this is cheap enough for each epoch.
    A parameter without a finite value is left out.
    """
    flat = {name: p.detach().flatten() for name, p in net.named_parameters() if p.numel() > 0}
    samples = [values[:: -(-values.numel() // SAMPLE)].float() for values in flat.values()]
    if not samples:
        return
    host = torch.cat(samples).cpu().numpy()
    ends = np.cumsum([len(sample) for sample in samples])
    for name, values in zip(flat, np.split(host, ends[:-1]), strict=True):
        finite = values[np.isfinite(values)].astype(np.float64)
        if len(finite) == 0:
            continue
        counts, edges = np.histogram(finite, bins=BARS)
        yield Histogram(
            name=name,
            values=len(finite),
            low=float(finite.min()),
            high=float(finite.max()),
            total=float(finite.sum()),
            squares=float(finite @ finite),
            edges=tuple(edges[1:].tolist()),
            counts=tuple(counts.tolist()),
        )
