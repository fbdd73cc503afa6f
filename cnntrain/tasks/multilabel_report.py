"""Several labels of each image: average precision, F1, thresholds that suit; text and data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cnntrain.show.tables import columns

THRESHOLD = "threshold_"
"""Before a label's name: the figure that is the threshold of most F1 on these images."""


@dataclass(frozen=True)
class LabelScore:
    """One label.

    Args:
        images: that have it.
        average_precision: the area under precision over recall, as `average_precision` has it; None
            where no image has the label.
        precision, recall, f1: of probabilities above `threshold`; 0 where a denominator is.
        threshold: the one that was used.
        best_threshold: the one with the largest F1 on these images.
    """

    images: int
    average_precision: float | None
    precision: float
    recall: float
    f1: float
    threshold: float
    best_threshold: float


@dataclass(frozen=True)
class Multilabel:
    """How well a network finds the labels of a set of images.

    Args:
        images: how many, each exactly once.
        loss: mean of the training criterion.
        names: of the labels.
        labels: their scores.
        micro_f1: F1 of all decisions about all labels together.
        wrong: share of these decisions that are wrong.
    """

    images: int
    loss: float
    names: tuple[str, ...]
    labels: tuple[LabelScore, ...]
    micro_f1: float
    wrong: float

    @property
    def mean_average_precision(self) -> float | None:
        """Over the labels that some image has (mAP)."""
        known = [x.average_precision for x in self.labels if x.average_precision is not None]
        return sum(known) / len(known) if known else None

    @property
    def macro_f1(self) -> float:
        """The unweighted mean over the labels."""
        return sum(each.f1 for each in self.labels) / len(self.labels)

    @property
    def figures(self) -> Mapping[str, float | None]:
        """The means and, to be kept, the thresholds that suit these images."""
        chosen = zip(self.names, self.labels, strict=True)
        return {
            "map": self.mean_average_precision,
            "macro_f1": self.macro_f1,
            "micro_f1": self.micro_f1,
            "error": self.wrong,
            **{f"{THRESHOLD}{name}": each.best_threshold for name, each in chosen},
        }


def judge(
    scores: Tensor,
    targets: Tensor,
    *,
    loss: float,
    names: Sequence[str],
    thresholds: Sequence[float],
) -> Multilabel:
    """The result of probabilities `(N, labels)` and targets of 0 and 1, both on the CPU."""
    truth = targets > 0.5
    limits = torch.tensor(thresholds, dtype=torch.float64)
    said = scores.double() > limits
    hits, positives, predicted = ((x.sum(dim=0)) for x in (said & truth, truth, said))
    labels = []
    for number in range(len(names)):
        h, p, q = (int(each[number]) for each in (hits, positives, predicted))
        labels.append(
            LabelScore(
                images=p,
                average_precision=average_precision(scores[:, number], truth[:, number]),
                precision=h / q if q else 0.0,
                recall=h / p if p else 0.0,
                f1=2 * h / (p + q) if p + q else 0.0,
                threshold=float(limits[number]),
                best_threshold=best_threshold(scores[:, number], truth[:, number]),
            )
        )
    whole = int(positives.sum() + predicted.sum())
    return Multilabel(
        images=len(targets),
        loss=loss,
        names=tuple(names),
        labels=tuple(labels),
        micro_f1=2 * int(hits.sum()) / whole if whole else 0.0,
        wrong=float((said != truth).double().mean()),
    )


def _ranked(scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each different score from the largest on, and how many images have it or more: of them, all.

    float64 counts of images with the label, and of all.
    """
    order = scores.argsort(descending=True, stable=True)
    ranked, hits = scores[order], truth[order].double().cumsum(0)
    last = torch.ones(len(ranked), dtype=torch.bool)
    last[:-1] = ranked[1:] != ranked[:-1]  # equal scores are decided together
    counts = torch.arange(1, len(ranked) + 1, dtype=torch.float64)
    return ranked[last], hits[last], counts[last]


def average_precision(scores: Tensor, truth: Tensor) -> float | None:
    """`sum_k (R_k - R_(k-1)) P_k` over the different scores; None where nothing is true.

    As scikit-learn's `average_precision_score`: precision P and recall R of the images with the
    score k or more, without interpolation.

    Args:
        scores: `(N,)`.
        truth: `(N,)` bool.
    """
    if not truth.any():
        return None
    _, hits, counts = _ranked(scores, truth)
    gained = torch.diff(hits, prepend=torch.zeros(1, dtype=torch.float64)) / hits[-1]
    return float((gained * hits / counts).sum())


def best_threshold(scores: Tensor, truth: Tensor) -> float:
    """Above which F1 is largest: halfway between two scores; 0.5 where nothing is true."""
    if not truth.any():
        return 0.5
    ranked, hits, counts = _ranked(scores.double(), truth)
    place = int((2 * hits / (counts + hits[-1])).argmax())
    below = float(ranked[place + 1]) if place + 1 < len(ranked) else 0.0
    return (float(ranked[place]) + below) / 2


def report(result: Multilabel) -> str:
    """The means, and a line for each label."""
    rows = [["label", "images", "AP", "precision", "recall", "F1", "above"]]
    for name, each in zip(result.names, result.labels, strict=True):
        shares = (each.average_precision, each.precision, each.recall, each.f1)
        texts = ["-" if share is None else f"{share:.2%}" for share in shares]
        rows.append([name, f"{each.images:,}", *texts, f"{each.threshold:.3f}"])
    mean = result.mean_average_precision
    means = "-" if mean is None else f"{mean:.2%}"
    return (
        f"mAP {means}  macro F1 {result.macro_f1:.2%}  micro F1 {result.micro_f1:.2%}  "
        f"labels wrong {result.wrong:.2%}  loss {result.loss:.4f}  ({result.images:,} images)\n\n"
        + columns(rows, right=range(1, 7))
    )


def as_data(result: Multilabel, names: Sequence[str] = ()) -> dict[str, Any]:
    """The means; with names also each label."""
    means = {name: result.figures[name] for name in ("map", "macro_f1", "micro_f1", "error")}
    figures = {"images": result.images, "loss": result.loss, **means}
    if not names:
        return figures
    labels = zip(result.names, result.labels, strict=True)
    return {**figures, "labels": [{"name": name, **vars(each)} for name, each in labels]}
