"""How good a classification is, from the probabilities of every image; scikit-learn counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sklearn.metrics import average_precision_score, roc_auc_score

from cnntrain.show.words import percent
from cnntrain.tasks.calibration import (
    BINS,
    Bin,
    brier_score,
    calibration_error,
    log_loss,
    reliability,
)
from cnntrain.tasks.image_scores import ImageScores
from cnntrain.tasks.intervals import Interval, share_interval


@dataclass(frozen=True)
class Quality:
    """What the probabilities of a classification are worth.

    Args:
        top1: between which values the top-1 of all such images lies.
        roc_areas: by class, under the curve of the true over the false positive rate, this class
            against the rest; None where the split has no image of it, or no other.
        pr_areas: by class, under precision over recall (average precision), with the same gaps.
        bins: of a reliability diagram.
        brier: the Brier score of all classes, from 0 to 2.
        log_loss: mean of -log of the true class's probability, unweighted.
    """

    top1: Interval
    roc_areas: tuple[float | None, ...]
    pr_areas: tuple[float | None, ...]
    bins: tuple[Bin, ...]
    brier: float
    log_loss: float

    @property
    def calibration_error(self) -> float:
        """The expected calibration error, of 15 bins of equal width."""
        return calibration_error(self.bins)

    def text(self, *, learnt: bool = False) -> str:
        """A few lines for people; without the interval if the network has learnt from the images.

        How many of those it has right says nothing about others.
        """
        counted = sum(area is not None for area in self.roc_areas)
        areas = f"{_short(mean_area(self.roc_areas))}  PR area {_short(mean_area(self.pr_areas))}"
        error = percent(self.calibration_error)
        interval = (
            f"top-1 of such images: {percent(self.top1.low)} to {percent(self.top1.high)} "
            f"with 95 % confidence ({self.top1.method})\n"
        )
        return (
            f"{'' if learnt else interval}"
            f"ROC area {areas}  (one class against the rest, mean of {counted:,} classes)\n"
            f"calibration error {error} (ECE, {BINS} bins)  Brier score {self.brier:.4f} (0 to 2)  "
            f"log loss {self.log_loss:.4f}"
        )

    def data(self, classes: Sequence[str]) -> dict[str, Any]:
        """All of it as JSON takes it."""
        areas = zip(classes, self.roc_areas, self.pr_areas, strict=True)
        return {
            "top1_interval": {**asdict(self.top1), "confidence": 0.95},
            "roc_area": mean_area(self.roc_areas),
            "pr_area": mean_area(self.pr_areas),
            "areas": [{"class": name, "roc": roc, "pr": pr} for name, roc, pr in areas],
            "calibration_error": self.calibration_error,
            "reliability": [asdict(each) for each in self.bins],
            "brier_score": self.brier,
            "log_loss": self.log_loss,
        }


def find_quality(answers: ImageScores) -> Quality:
    """Measure it; 1,000 classes and 50,000 images take about half a minute."""
    return Quality(
        top1=share_interval(int(answers.right.sum()), len(answers.targets)),
        roc_areas=_areas(answers, roc_auc_score),
        pr_areas=_areas(answers, average_precision_score),
        bins=reliability(answers),
        brier=brier_score(answers),
        log_loss=log_loss(answers),
    )


def mean_area(areas: Sequence[float | None]) -> float | None:
    """The unweighted (macro) mean over the classes that have one."""
    there = [area for area in areas if area is not None]
    return sum(there) / len(there) if there else None


def _areas(answers: ImageScores, area: Callable[..., float]) -> tuple[float | None, ...]:
    """One class against the rest; logarithms rank as probabilities do, with fewer ties near 1."""
    found: list[float | None] = []
    for number, scores in enumerate(answers.scores.unbind(dim=1)):
        is_class = (answers.targets == number).numpy()
        both = is_class.any() and not is_class.all()
        found.append(float(area(is_class, scores.numpy())) if both else None)
    return tuple(found)


def _short(area: float | None) -> str:
    return "-" if area is None else f"{area:.4f}"
