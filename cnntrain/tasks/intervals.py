"""How far a share of right answers can be trusted: confidence intervals, and a test of two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
DRAWS = 10_000
SEED = 0


@dataclass(frozen=True)
class Interval:
    """Between which values a figure of all images of this kind lies, with 95 % confidence.

    Args:
        low, high: its ends.
        method: how it was found, in words.
    """

    low: float
    high: float
    method: str


def share_interval(right: int, images: int) -> Interval:
    """Of the share of right answers: the percentile bootstrap (Efron 1979).

    Images are drawn with replacement, whatever their class (not stratified), so how many of a draw
    are right is binomial, and is drawn as such. Where all are right or none is, every draw is the
    same; the interval is then that of Clopper and Pearson (1934), which is exact.
    """
    if right in (0, images):
        from scipy.stats import binomtest  # here, not above: training needs no scipy

        found = binomtest(right, images).proportion_ci(LEVEL, method="exact")
        return Interval(float(found.low), float(found.high), "Clopper-Pearson, exact")
    draws = np.random.default_rng(SEED).binomial(images, right / images, DRAWS) / images
    return _percentiles(draws, "bootstrap")


def difference_interval(only_first: int, only_second: int, images: int) -> Interval:
    """Of the difference of two shares of right answers on the same images (first minus second).

    Images are drawn with replacement and carry both answers, so the numbers of those that only one
    of the two has right are multinomial.
    """
    counts = [only_first, only_second, images - only_first - only_second]
    rng = np.random.default_rng(SEED)
    draws = rng.multinomial(images, np.array(counts) / images, DRAWS)
    return _percentiles((draws[:, 0] - draws[:, 1]) / images, "paired bootstrap")


def mcnemar(only_first: int, only_second: int) -> float:
    """McNemar's test (1947), exact and two-sided: the p-value of two equally good classifiers.

    Given the images that exactly one has right, each has half of them on average.
    """
    from scipy.stats import binomtest  # here, not above: training needs no scipy

    disagreeing = only_first + only_second
    return float(binomtest(only_first, disagreeing, 0.5).pvalue) if disagreeing else 1.0


def _percentiles(draws: np.ndarray, name: str) -> Interval:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    how = f"{name}: {DRAWS:,} draws of the images, not stratified, seed {SEED}"
    return Interval(float(low), float(high), how)
