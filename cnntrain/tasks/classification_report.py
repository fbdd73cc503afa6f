"""What a classification gave, with precision, recall and F1 of each class: text and data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import Tensor

from cnntrain.show.tables import columns

SHOWN_PAIRS = 5
"""Of the most confused pairs."""

SHOWN_CLASSES = 20
"""The confusion table is printed up to this many classes; the picture and --json have all."""


@dataclass(frozen=True)
class Classification:
    """How well a network classifies a set of images.

    Args:
        images: how many were classified, each exactly once.
        loss: mean of the training criterion over the images (weighted, if it has class weights).
        top1: fraction whose highest logit is the true class.
        top5: fraction whose true class is among the five highest; None with fewer than 6 classes,
            where it would always be 1.
        correct: images that top-1 counts.
        confusion: `(classes, classes)` int32 on the CPU: images by true class (row) and predicted
            class (column). A table of Python's numbers would be ten times as large.
    """

    images: int
    loss: float
    top1: float
    top5: float | None
    correct: int
    confusion: Tensor = field(compare=False)

    @property
    def error(self) -> float:
        """The fraction that top-1 misses."""
        return (self.images - self.correct) / self.images

    @cached_property
    def largest_class(self) -> int:
        """Images of the most frequent class."""
        return int(_sums(self.confusion, dim=1).max())

    @property
    def figures(self) -> Mapping[str, float | None]:
        """The errors, and how many are right."""
        top5_error = None if self.top5 is None else 1.0 - self.top5
        return {"error": self.error, "top5_error": top5_error, "correct": self.correct}


@dataclass(frozen=True)
class ClassScore:
    """One class; a ratio whose denominator is 0 is 0, as in scikit-learn.

    Args:
        precision: of the images predicted as this class, the fraction that are.
        recall: of the images of this class, the fraction predicted so.
        f1: harmonic mean of the two.
        images: images of this class.
        predicted: images predicted as this class.
    """

    precision: float
    recall: float
    f1: float
    images: int
    predicted: int


def class_scores(confusion: Tensor) -> tuple[ClassScore, ...]:
    """Scores of every class, in order; rows are true classes, columns predicted ones."""
    sums = (confusion.diagonal(), _sums(confusion, dim=1), _sums(confusion, dim=0))
    counts = zip(*(each.tolist() for each in sums), strict=True)
    return tuple(_score(hits=h, images=n, predicted=p) for h, n, p in counts)


def _sums(confusion: Tensor, *, dim: int) -> Tensor:
    """In its own type: in torch's choice, int64, they take thirty times as long."""
    return confusion.sum(dim=dim, dtype=confusion.dtype)


def mean_score(scores: Sequence[ClassScore]) -> ClassScore:
    """The unweighted (macro) mean over the classes that have images; images and predictions add up.

    The mean recall is the balanced accuracy (Brodersen et al. 2010). As in scikit-learn, a class
    without images has no recall to be averaged.
    """
    there = [score for score in scores if score.images] or list(scores)
    count = len(there)
    return ClassScore(
        precision=sum(score.precision for score in there) / count,
        recall=sum(score.recall for score in there) / count,
        f1=sum(score.f1 for score in there) / count,
        images=sum(score.images for score in scores),
        predicted=sum(score.predicted for score in scores),
    )


def _score(*, hits: int, images: int, predicted: int) -> ClassScore:
    return ClassScore(
        precision=hits / predicted if predicted else 0.0,
        recall=hits / images if images else 0.0,
        f1=2 * hits / (images + predicted) if images + predicted else 0.0,
        images=images,
        predicted=predicted,
    )


def report(result: Classification, classes: Sequence[str]) -> str:
    """The figures, the scores per class and, of a few classes, the confusion matrix."""
    top5 = "" if result.top5 is None else f"  top-5 {result.top5:.2%}"
    lines = [
        f"top-1 {result.top1:.2%}{top5}  error {result.error:.2%}  loss {result.loss:.4f}  "
        f"({result.correct:,} of {result.images:,} right)",
        f"balanced accuracy {mean_score(class_scores(result.confusion)).recall:.2%} (mean recall)",
        "",
        _per_class(result, classes),
    ]
    if pairs := most_confused(result.confusion, SHOWN_PAIRS):
        words = (f"{classes[true]} as {classes[taken]} ({count:,})" for true, taken, count in pairs)
        lines += ["", f"most confused: {', '.join(words)}"]
    if len(classes) <= SHOWN_CLASSES:
        lines += ["", "confusion (rows: true class, columns: predicted)"]
        lines += [_confusion(result, classes)]
    return "\n".join(lines)


def most_confused(confusion: Tensor, most: int) -> list[tuple[int, int, int]]:
    """True class, predicted class and number of mistakes: the `most` most frequent pairs."""
    true, taken = confusion.nonzero().unbind(dim=1)
    true, taken = true[true != taken], taken[true != taken]
    counts = confusion[true, taken]
    order = counts.argsort(descending=True, stable=True)[:most]
    return list(zip(*(each[order].tolist() for each in (true, taken, counts)), strict=True))


def _per_class(result: Classification, classes: Sequence[str]) -> str:
    scores = class_scores(result.confusion)
    rows = [["class", "images", "precision", "recall", "F1"]]
    named = zip((*classes, "mean"), (*scores, mean_score(scores)), strict=True)
    for name, score in named:
        ratios = [f"{value:.2%}" for value in (score.precision, score.recall, score.f1)]
        rows.append([name, f"{score.images:,}", *(ratios if score.images else ["-"] * 3)])
    return columns(rows, right=range(1, 5))


def _confusion(result: Classification, classes: Sequence[str]) -> str:
    counts = zip(classes, result.confusion.tolist(), strict=True)
    rows = [[name, *(str(count) if count else "." for count in row)] for name, row in counts]
    return columns([["", *classes], *rows], right=range(1, len(classes) + 1))


def as_data(result: Classification, classes: Sequence[str] = ()) -> dict[str, Any]:
    """The figures; with the classes' names also their scores and the confusion matrix."""
    figures = {
        "images": result.images,
        "correct": result.correct,
        "loss": result.loss,
        "top1": result.top1,
        "top5": result.top5,
        "error": result.error,
    }
    if not classes:
        return figures
    found = class_scores(result.confusion)
    mean, scores = mean_score(found), zip(classes, found, strict=True)
    return {
        **figures,
        "balanced_accuracy": mean.recall,
        "macro": {"precision": mean.precision, "recall": mean.recall, "f1": mean.f1},
        "classes": [
            {
                "name": name,
                "images": score.images,
                "precision": score.precision,
                "recall": score.recall,
                "f1": score.f1,
            }
            for name, score in scores
        ],
        "most_confused": [
            {"class": classes[true], "predicted": classes[taken], "images": count}
            for true, taken, count in most_confused(result.confusion, SHOWN_CLASSES)
        ],
        "confusion": result.confusion.tolist(),
    }
