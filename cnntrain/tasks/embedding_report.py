"""How well vectors find images of their own class: recall, text and data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from cnntrain.show.tables import columns

NEAREST = (1, 5, 10)
"""Numbers of neighbours among which one of the own class is to be."""
DRAWN = 2000
"""Images that are kept to be drawn, spread evenly over all."""


@dataclass(frozen=True)
class ClassRecall:
    """One class: its name, its images, and recall at each of `NEAREST`; None with one image."""

    name: str
    images: int
    recall: Mapping[int, float | None]


@dataclass(frozen=True)
class Embedded:
    """How the vectors of a set of images lie to each other.

    Args:
        images: how many, each exactly once.
        loss: mean of the training criterion over batches of these images.
        queries: those with another image of their class.
        recall: by number of neighbours, the share of the queries with one of their class among so
            many nearest; None without queries.
        classes: the classes that there are images of.
        chance: recall at 1 if neighbours are drawn by chance.
        vectors: `(M, D)` on the CPU, of some images.
        targets: `(M,)`, positions in `names`.
        names: of all classes.
    """

    images: int
    loss: float
    queries: int
    recall: Mapping[int, float | None]
    classes: tuple[ClassRecall, ...]
    chance: float
    vectors: Tensor = field(compare=False)
    targets: Tensor = field(compare=False)
    names: tuple[str, ...] = ()

    @property
    def figures(self) -> Mapping[str, float | None]:
        """By name."""
        return {f"recall_at_{k}": share for k, share in self.recall.items()}

    def with_loss(self, loss: float) -> Embedded:
        """The same with another loss."""
        return replace(self, loss=loss)


def judge(
    place: Tensor, vectors: Tensor, targets: Tensor, *, loss: float, names: Sequence[str]
) -> Embedded:
    """The result of ranks `(N,)`, see `cnntrain.tasks.distances.ranks`, all on the CPU."""
    counts = torch.bincount(targets, minlength=len(names))
    is_query = place < len(place)
    queries = int(is_query.sum())
    step = -(-len(targets) // DRAWN)
    each = counts.double()
    pairs = float((each * (each - 1)).sum())
    return Embedded(
        images=len(targets),
        loss=loss,
        queries=queries,
        recall=_recall(place[is_query]),
        classes=tuple(
            ClassRecall(name, int(count), _recall(place[is_query & (targets == number)]))
            for number, (name, count) in enumerate(zip(names, counts.tolist(), strict=True))
            if count
        ),
        chance=pairs / max(1, queries * (len(targets) - 1)),
        vectors=vectors[::step].float(),
        targets=targets[::step],
        names=tuple(names),
    )


def _recall(place: Tensor) -> dict[int, float | None]:
    return {k: float((place < k).double().mean()) if len(place) else None for k in NEAREST}


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"


def report(result: Embedded) -> str:
    """Recall, and a line for each class."""
    rows = [["class", "images", *(f"recall@{k}" for k in NEAREST)]]
    for each in result.classes:
        rows.append([each.name, f"{each.images:,}", *map(_percent, each.recall.values())])
    shares = "  ".join(f"recall@{k} {_percent(share)}" for k, share in result.recall.items())
    alone = result.images - result.queries
    left = f", {alone:,} of them alone in their class" if alone else ""
    return f"{shares}  loss {result.loss:.4f}  ({result.images:,} images{left})\n\n" + columns(
        rows, right=range(1, 2 + len(NEAREST))
    )


def as_data(result: Embedded, names: Sequence[str] = ()) -> dict[str, Any]:
    """The figures; with names also each class."""
    figures = {"images": result.images, "loss": result.loss, **result.figures}
    if not names:
        return figures
    classes = [
        {"class": each.name, "images": each.images,
         **{f"recall_at_{k}": share for k, share in each.recall.items()}}
        for each in result.classes
    ]  # fmt: skip
    return {**figures, "queries": result.queries, "chance": result.chance, "classes": classes}
