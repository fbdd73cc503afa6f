"""Mean and standard deviation of the training images, exact."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cnntrain.data.cache import listing_key, read_json, write_json
from cnntrain.data.decode import in_threads
from cnntrain.data.splits import Files, Part, Pixels, from_picture

_LEVELS = 256
_CHUNK = 8192


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation per channel, of pixels from 0 (black) to 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def statistics(part: Part) -> Statistics:
    """Mean and standard deviation over all pixels of all images, each pixel counted once.

    Computed from integer histograms of the stored images (before any transform), so the result
    does not depend on order or rounding; std is that of the population (divided by n). For files
    the result is kept in the cache, under their names, sizes and times of change.
    """
    if isinstance(part, Pixels):
        return _from_histogram(_histogram_of_pixels(part.images))
    name = f"statistics/{listing_key(part.paths, part.channels)}.json"
    cached = read_json(name)
    if cached is not None:
        histogram = _valid_histogram(cached.get("histogram"), part.channels)
        if histogram is not None:
            return _from_histogram(histogram)
    histogram = _histogram_of_files(part)
    write_json(name, {"histogram": histogram.tolist()})
    return _from_histogram(histogram)


def _histogram_of_pixels(images: Tensor) -> Tensor:
    total = torch.zeros(images.shape[1], _LEVELS, dtype=torch.int64)
    for start in range(0, len(images), _CHUNK):  # bounds the copy that one channel needs
        chunk = images[start : start + _CHUNK]
        for channel in range(images.shape[1]):
            total[channel] += torch.bincount(chunk[:, channel].reshape(-1), minlength=_LEVELS)
    return total


def _histogram_of_files(part: Files) -> Tensor:
    def count(index: int) -> Tensor:
        pixels = from_picture(part.open(index))
        return torch.stack(
            [torch.bincount(plane.reshape(-1), minlength=_LEVELS) for plane in pixels]
        )

    total = torch.zeros(part.channels, _LEVELS, dtype=torch.int64)
    for histogram in in_threads(count, range(len(part))):
        total += histogram
    return total


def _valid_histogram(rows: object, channels: int) -> Tensor | None:
    """The cached histogram, unless the file was tampered with or is of another form."""
    if not isinstance(rows, list) or len(rows) != channels:
        return None
    for row in rows:
        if not isinstance(row, list) or len(row) != _LEVELS:
            return None
        if not all(type(value) is int and value >= 0 for value in row) or sum(row) == 0:
            return None
    return torch.tensor(rows, dtype=torch.int64)


def _from_histogram(histogram: Tensor) -> Statistics:
    means, deviations = [], []
    for row in histogram.tolist():  # Python's integers: no overflow, no rounding
        n = sum(row)
        first = sum(level * count for level, count in enumerate(row))
        second = sum(level * level * count for level, count in enumerate(row))
        means.append(first / (255 * n))
        deviations.append(math.sqrt((second * n - first * first) / (255 * n) ** 2))
    return Statistics(tuple(means), tuple(deviations))
