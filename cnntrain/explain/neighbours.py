"""The nearest images in the space of a layer's features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor

from cnntrain.show.image_table import Cell, draw_table
from cnntrain.show.pixels import Pixels

Distance = Literal["cosine", "euclidean"]


def nearest(
    queries: Tensor, features: Tensor, *, distance: Distance, count: int
) -> tuple[Tensor, Tensor]:
    """The images with the smallest distances, the nearest first.

    Cosine: one minus the cosine of the angle, from 0 to 2; of a vector of zeros it is 1 to all.

    Args:
        queries: (Q, F).
        features: (N, F).
        distance: which.
        count: how many; at most N.

    Returns:
        distances and positions, both (Q, count).
    """
    queries, features = queries.double(), features.double()
    if distance == "cosine":
        ours, theirs = (_unit(values) for values in (queries, features))
        distances = (1 - ours @ theirs.T).clamp_min(0)
    else:
        distances = torch.cdist(queries, features, compute_mode="donot_use_mm_for_euclid_dist")
    found = distances.topk(min(count, len(features)), dim=1, largest=False)
    return found.values, found.indices


def _unit(values: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(values, dim=1, keepdim=True)
    return values / lengths.clamp_min(1e-30)


def draw_neighbours(
    queries: Pixels,
    found: Sequence[Pixels],
    *,
    labels: Sequence[str],
    captions: Sequence[Sequence[str]],
    title: str,
) -> Figure:
    """A row per query: the image, then its neighbours.

    Args:
        queries: (Q, H, W, 3).
        found: for each query (K, H, W, 3).
        labels: below the queries.
        captions: below the neighbours.
        title: above.
    """
    rows = []
    for query, label, images, lines in zip(queries, labels, found, captions, strict=True):
        cells = [
            Cell(image, line, apart=number == 0)
            for number, (image, line) in enumerate(zip(images, lines, strict=True))
        ]
        rows.append([Cell(query, label), *cells])
    return draw_table(rows, title=title, headings=["query", "nearest"], side=1.3)
