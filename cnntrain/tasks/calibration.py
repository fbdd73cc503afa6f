"""Whether probabilities mean what they say: reliability, calibration error, Brier score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from cnntrain.tasks.image_scores import ImageScores

BINS = 15
_TOGETHER = 4096
"""Images whose probabilities are float64 at once: 33 MB for 1,000 classes."""


@dataclass(frozen=True)
class Bin:
    """Images whose most probable class has a probability above `low` and up to `high`.

    `confidence` is the mean of that probability and `accuracy` the share that is right; both are
    None without images.
    """

    low: float
    high: float
    images: int
    confidence: float | None
    accuracy: float | None


def reliability(answers: ImageScores, *, bins: int = BINS) -> tuple[Bin, ...]:
    """Bins of equal width for a reliability diagram (Guo et al. 2017, section 2)."""
    confidences, right = answers.confidences, answers.right.double()
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    of_bin = torch.bucketize(confidences, edges[1:-1])  # the upper edge belongs to a bin
    found = []
    for number in range(bins):
        inside = of_bin == number
        count = int(inside.sum())
        means = [float(each[inside].mean()) if count else None for each in (confidences, right)]
        found.append(Bin(float(edges[number]), float(edges[number + 1]), count, means[0], means[1]))
    return tuple(found)


def calibration_error(found: Sequence[Bin]) -> float:
    """The expected calibration error, ECE: `sum(images * |accuracy - confidence|) / N` over bins.

    Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", 2017, equation 3.
    """
    gaps = 0.0
    for each in found:
        if each.accuracy is not None and each.confidence is not None:
            gaps += each.images * abs(each.accuracy - each.confidence)
    return gaps / sum(each.images for each in found)


def brier_score(answers: ImageScores) -> float:
    """`mean over images of sum over classes of (p - [class is true])^2`: 0 is best, 2 worst.

    Brier, "Verification of Forecasts Expressed in Terms of Probability", 1950, equation 2.
    """
    total = 0.0
    for start in range(0, len(answers.targets), _TOGETHER):
        targets = answers.targets[start : start + _TOGETHER]
        shares = answers.scores[start : start + _TOGETHER].double().exp()
        shares[torch.arange(len(targets)), targets] -= 1
        total += float(shares.square().sum())
    return total / len(answers.targets)


def log_loss(answers: ImageScores) -> float:
    """The mean of -log of the true class's probability."""
    return -float(answers.scores.gather(1, answers.targets[:, None]).double().mean())


def scaled(answers: ImageScores, temperature: float) -> ImageScores:
    """The probabilities if all logits are divided by a temperature.

    Logits and logarithms of probabilities differ by one number per image, which has no effect.
    """
    return ImageScores((answers.scores / temperature).log_softmax(dim=1), answers.targets)


def find_temperature(answers: ImageScores) -> float:
    """The temperature of the lowest log loss (Guo et al. 2017, section 4.2), from 0.01 to 100.

    The log loss is convex in 1 / temperature, so a bounded search in one dimension (Brent) finds
    it. Where every image is right it has no minimum: the lower the temperature, the better.
    """
    # here, not above: training needs no scipy
    from scipy.optimize import minimize_scalar

    def cost(logarithm: float) -> float:
        return log_loss(scaled(answers, math.exp(logarithm)))

    ends = (math.log(0.01), math.log(100))
    return math.exp(float(minimize_scalar(cost, bounds=ends, options={"xatol": 1e-6}).x))
