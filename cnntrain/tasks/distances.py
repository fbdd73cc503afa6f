"""Distances between vectors, and how far down the nearest of its own class is for each."""

from __future__ import annotations

import torch
from torch import Tensor

_CELLS = {"cpu": 2**18}
"""Of the table of distances that is worked on at once: what fits a processor's cache, 2 MB."""
_MOST_CELLS = 2**23
"""The same of other devices: 64 MB."""


def squared_distances(vectors: Tensor) -> Tensor:
    """`(N, N)` squared Euclidean distances between vectors `(N, D)`; differentiable."""
    centred = vectors - vectors.mean(dim=0)  # smaller numbers, so that less is lost by rounding
    squares = centred.square().sum(dim=1)
    return (squares[:, None] + squares - 2 * centred @ centred.T).clamp_min(0)


def alike(targets: Tensor) -> tuple[Tensor, Tensor]:
    """`(N, N)` bool: whether two images are of one class, and whether they are one and the same."""
    same = targets[:, None] == targets
    return same, torch.eye(len(targets), dtype=torch.bool, device=targets.device)


def nearest_alike(vectors: Tensor, targets: Tensor) -> Tensor:
    """`(N,)` bool: whether the nearest other image is of one's own class; without waiting.

    Args:
        vectors: `(N, D)` of a batch.
        targets: `(N,)` int64 classes.
    """
    distances, (same, itself) = squared_distances(vectors), alike(targets)
    own = distances.masked_fill(~same | itself, torch.inf).amin(dim=1)
    return own < distances.masked_fill(same, torch.inf).amin(dim=1)


def ranks(vectors: Tensor, targets: Tensor) -> Tensor:
    """`(N,)` int64: how many images of other classes are as near as the nearest of its own class.

    An image has a neighbour of its class among its k nearest where this is less than k; images that
    are equally near count as nearer, so vectors that are all the same find nothing. Of an image
    that is the only one of its class it is N.

    Args:
        vectors: `(N, D)`; the table of distances is made a few rows at a time.
        targets: `(N,)` int64 classes.
    """
    count, found = len(targets), torch.empty_like(targets)
    order = targets.argsort(stable=True)  # so that those of a class are neighbours in the table
    classes, centred = targets[order], vectors[order] - vectors.mean(dim=0)
    squares, places = centred.square().sum(dim=1), torch.arange(count, device=targets.device)
    ends = [torch.searchsorted(classes, classes, right=side).tolist() for side in (False, True)]
    rows = max(1, _CELLS.get(vectors.device.type, _MOST_CELLS) // max(1, count))
    for start in range(0, count, rows):
        some = slice(start, min(start + rows, count))
        own = slice(ends[0][start], ends[1][some.stop - 1])
        # of the square of a distance, what differs within a row
        distances = torch.addmm(squares, centred[some], centred.T, alpha=-2)
        same = classes[some, None] == classes[own]
        others = ~same | (places[some, None] == places[own])
        nearest = distances[:, own].masked_fill(others, torch.inf).amin(dim=1)
        distances[:, own].masked_fill_(same, torch.inf)
        nearer = (distances <= nearest[:, None]).count_nonzero(dim=1)
        found[order[some]] = nearer.where(nearest.isfinite(), count)
    return found
