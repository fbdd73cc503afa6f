"""The nearest images in the space of a layer's features."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from cnntrain.core.escapes import escaped
from cnntrain.core.kinds import Count, Names, Positive, Split
from cnntrain.explain import picture
from cnntrain.explain.shown import show_images
from cnntrain.model.images import find_images
from cnntrain.model.model import Model
from cnntrain.model.taps import bounded, feature_tap, features, tapped
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

    Returns:
        for queries (Q, F) and features (N, F) distances and positions, both (Q, count), at most N.
    """
    queries, features = queries.double(), features.double()
    if distance == "cosine":
        ours, theirs = (normalize(values, eps=1e-30) for values in (queries, features))
        distances = (1 - ours @ theirs.T).clamp_min(0)
    else:
        distances = torch.cdist(queries, features, compute_mode="donot_use_mm_for_euclid_dist")
    found = distances.topk(min(count, len(features)), dim=1, largest=False)
    return found.values, found.indices


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
    with torch.inference_mode(), tapped(model.net, [tap]) as given:
        model.net(shown.images)
        queries = bounded(given[tap].float(), SEARCHED).cpu().clone()
    data = find_images(model, split=split, limit=limit)
    with data.opened() as loader:
        found, targets = features(model.net, loader, taps=[tap], limit=SEARCHED)
    distances, positions = nearest(queries, found[tap], distance=distance, count=count)
    rows, facts = [], []
    asked = photographs(shown.images, scaling=model.scaling)
    for query, label, true, near, numbers in zip(
        asked, shown.labels, shown.names, distances.tolist(), positions.tolist(), strict=True
    ):
        row = [Cell(query, label if true is None else f"{label}\n{true}")]
        known: list[dict[str, object]] = []
        photos = photographs(data.at(numbers), scaling=model.scaling)
        for photo, value, number in zip(photos, near, numbers, strict=True):
            file, name = data.label(number), model.named.say(targets[number])
            caption = f"{name}  {value:.3g}\n{escaped(Path(file).name)}"
            row.append(Cell(photo, caption, apart=len(row) == 1))
            known.append({"image": file, "class": name, "distance": value})
        rows.append(row)
        facts.append({"image": label, "neighbours": known})
    title = f"Nearest among {data.described}: {distance} distance of {tap}"
    figure = draw_table(rows, title=title, headings=["query", "nearest"], side=1.3)
    whole = {"layer": str(tap), "split": data.split, "distance": distance, "queries": facts}
    return Picture(figure, whole, title)
