"""What TensorBoard shows of tensors: images, filters, histograms, confusion, scatter."""

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
VALUES_PER_STEP = 2_000
"""Counting as many takes 0.03 to 0.1 ms: 1 % of a training step of 3 to 10 ms."""
DRAWN_CLASSES = 2_000
"""The confusion matrix of more is not drawn: no screen shows it, and it would take gigabytes."""
_IMAGES, _FILTERS = 16, 64  # tiles shown at most
_PANEL = 160  # pixels a side of a panel
_TILE = 24  # pixels; smaller tiles are enlarged to about that


def images_picture(images: Tensor) -> Tensor:
    """The first of images (N, C, H, W) from 0 to 1 as a grid, (3, H', W').

    Of neither 1 nor 3 channels the first is shown.
    """
    return _grid(images[:_IMAGES].detach().float())


def outputs_picture(sample: Tensor) -> Tensor:
    """Images that are given back, (3, H', W') from 0 to 1: targets, outputs, differences in rows.

    Args:
        sample: `(2, M, C, H, W)`, targets and outputs from 0 to 1.
    """
    targets, outputs = sample.float()
    rows = (targets, outputs, (outputs - targets).abs())
    pixels = magnified(coloured(torch.cat(rows)), max(1, math.ceil(_TILE / max(sample.shape[3:]))))
    sheet = mosaic(pixels, columns=len(targets), edge=1, ground=0.5)
    return torch.from_numpy(sheet).permute(2, 0, 1)


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


def confusion_picture(confusion: Tensor) -> Tensor:
    """A confusion matrix, rows true classes, (3, H', W') from 0 to 1; each row's shares.

    Right answers are blue; mistakes red, those as frequent as the worst one fully.
    """
    counts = confusion.double()
    shares = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
    right = torch.eye(len(counts), dtype=torch.float64)
    mistakes = shares * (1 - right)
    red = (mistakes / mistakes.max().clamp(min=1e-9)).sqrt()  # so that the rare ones are seen
    blue = shares * right
    picture = torch.stack([1 - blue, 1 - torch.maximum(blue, red), 1 - red])
    side = max(1, 480 // len(counts))
    return picture.repeat_interleave(side, 1).repeat_interleave(side, 2)


def scatter_picture(sample: Tensor) -> Tensor:
    """Numbers that are predicted (upwards) over the true ones, (3, H', W') from 0 to 1.

    A panel for each of the first sixteen numbers, the darker the more images; a line where both are
    the same.

    Args:
        sample: `(2, M, K)`, true and predicted numbers.
    """
    panels = []
    for points in sample[:, :, :_IMAGES].double().unbind(dim=2):
        low, high = points.min(), points.max()
        cells = ((points - low) / (high - low).clamp(min=1e-12) * (_PANEL - 1)).round().long()
        counts = torch.bincount(cells[0] * _PANEL + cells[1], minlength=_PANEL**2)
        shades = 1 - counts.view(_PANEL, _PANEL).double().log1p() / counts.max().double().log1p()
        line = 0.25 * torch.eye(_PANEL, dtype=torch.float64)
        panels.append((shades - line).clamp(min=0).T.flip(0)[None])
    return _grid(torch.stack(panels).float())


def histogram_interval(net: nn.Module, *, steps_per_epoch: int) -> int:
    """Epochs from one set of histograms to the next: at most VALUES_PER_STEP are counted a step."""
    values = sum(min(parameter.numel(), SAMPLE) for parameter in net.parameters())
    return max(1, math.ceil(values / (VALUES_PER_STEP * steps_per_epoch)))


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
