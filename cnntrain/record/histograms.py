"""Histograms of the weights, cheap enough to be made after each epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

SAMPLE = 65_536  # values a parameter; a histogram of 64 bars needs no more
BARS = 64


@dataclass(frozen=True)
class Histogram:
    """Counts of one parameter's finite values in bars of equal width.

    Args:
        name: the parameter's name.
        values: how many were counted.
        low: the least of them.
        high: the greatest.
        total: their sum.
        squares: the sum of their squares.
        edges: the right edge of each bar.
        counts: the values in each bar.
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

    The values come from the device in one transfer. A parameter without a finite value is left out.
    """
    names, samples = [], []
    for name, parameter in net.named_parameters():
        flat = parameter.detach().flatten()
        if flat.numel() > 0:
            names.append(name)
            samples.append(flat[:: -(-flat.numel() // SAMPLE)].float())
    if not samples:
        return
    host = torch.cat(samples).cpu().numpy()
    ends = np.cumsum([len(sample) for sample in samples])
    for name, values in zip(names, np.split(host, ends[:-1]), strict=True):
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
