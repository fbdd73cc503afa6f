"""The nearest images in the space of a layer's features."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from cnntrain.core.kinds import Count, Names, Positive, Split
from cnntrain.explain import picture
from cnntrain.explain.shown import show_images
from cnntrain.model.images import SplitImages, find_images
from cnntrain.model.model import Model
from cnntrain.model.taps import Tap, bounded, feature_tap, features, tapped
from cnntrain.show.image_table import Cell, Picture, draw_table
from cnntrain.show.pixels import photographs

Distance = Literal["cosine", "euclidean"]

SEARCHED = 4096
"""Maps are averaged over regions where a layer gives more numbers than this to be searched."""


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


@picture("retrieve", command=True)
def retrieve(
    *,
    model: Model,
    images: Names,
    layer: str | None = None,
    count: Count = 8,
    distance: Literal["cosine", "euclidean"] = "cosine",
    split: Split = "train",
    limit: Positive | None = None,
) -> Picture:
    """Find the training images nearest to an image, by features.

    The features are those of a layer, by default what the last linear layer reads. An image that is
    itself in the training set is found at distance 0.

    Args:
        images: image files, or numbers of evaluation images.
        count: neighbours of each image.
        distance: between features.
        split: what is searched.
        limit: search so many images, drawn at random.
    """
    tap = feature_tap(model, layer)
    shown = show_images(model, images)
    queries = _features_of(model, shown.images, tap)
    data = find_images(model, split=split, limit=limit)
    with data.opened() as loader:
        found, targets = features(model.net, loader, taps=[tap], limit=SEARCHED)
    distances, positions = nearest(queries, found[tap], distance=distance, count=count)
    pictures = [photographs(data.at(row), scaling=model.scaling) for row in positions.tolist()]
    facts, captions = _neighbour_facts(data, distances, positions, targets)
    title = f"Nearest among {data.told}: {distance} distance of {tap}"
    labels = [
        label if true is None else f"{label}\n{model.classes[true]}"
        for label, true in zip(shown.labels, shown.targets, strict=True)
    ]
    asked = photographs(shown.images, scaling=model.scaling)
    rows = []
    for query, label, near, lines in zip(asked, labels, pictures, captions, strict=True):
        cells = [Cell(image, line) for image, line in zip(near, lines, strict=True)]
        cells[0] = replace(cells[0], apart=True)
        rows.append([Cell(query, label), *cells])
    figure = draw_table(rows, title=title, headings=["query", "nearest"], side=1.3)
    named = [
        {"image": label, "neighbours": each}
        for label, each in zip(shown.labels, facts, strict=True)
    ]
    return Picture(
        figure,
        {"layer": str(tap), "split": data.split, "distance": distance, "queries": named},
        title,
    )


def _features_of(model: Model, images: Tensor, tap: Tap) -> Tensor:
    with torch.inference_mode(), tapped(model.net, [tap]) as found:
        model.net(images)
        return bounded(found[tap].float(), SEARCHED).cpu().clone()


def _neighbour_facts(
    data: SplitImages, distances: Tensor, positions: Tensor, targets: Tensor
) -> tuple[list[list[dict[str, object]]], list[list[str]]]:
    facts, captions = [], []
    for values, numbers in zip(distances.tolist(), positions.tolist(), strict=True):
        row: list[dict[str, object]] = []
        lines = []
        for value, number in zip(values, numbers, strict=True):
            name = data.model.classes[int(targets[number])]
            row.append({"image": data.label(number), "class": name, "distance": value})
            lines.append(f"{name}  {value:.3g}\n{Path(data.label(number)).name}")
        facts.append(row)
        captions.append(lines)
    return facts, captions
