"""Precision, recall and F1 of each class, from a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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


def class_scores(confusion: Sequence[Sequence[int]]) -> tuple[ClassScore, ...]:
    """Scores of every class, in order; rows are true classes, columns predicted ones."""
    predicted = [sum(column) for column in zip(*confusion, strict=True)]
    return tuple(
        _score(hits=row[index], images=sum(row), predicted=predicted[index])
        for index, row in enumerate(confusion)
    )


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
