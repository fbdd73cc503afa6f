"""How alike two representations of the same images are: linear CKA and RSA.

Each measure is the cosine between two vectors, one for each representation, with a number for each
pair of images. Kornblith, Norouzi, Lee and Hinton, "Similarity of Neural Network Representations
Revisited", 2019; Nguyen, Raghu and Kornblith, "Do Wide and Deep Networks Learn the Same Things?",
2021; Kriegeskorte, Mur and Bandettini, "Representational Similarity Analysis", 2008.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from scipy.stats import rankdata
from torch import Tensor

LEAST = 4
"""Images: the unbiased estimate divides by n - 3."""

_NOISE = 1e-12
"""Features whose variance is smaller than this share of their mean square differ by rounding."""

_DECIMALS = 9
"""Of distances: those that differ by less are equal, and share a rank."""


@dataclass(frozen=True)
class Representation:
    """What is needed of the features X (N, F) of N images, however many features there are.

    Args:
        inner: (N, N) float64, the inner products X X^T.
        means: (N,) float64, the mean of each image's features.
        width: F.
    """

    inner: Tensor
    means: Tensor
    width: int

    @property
    def within(self) -> Tensor:
        """(N, N) inner products of features from which each image's mean is subtracted."""
        return self.inner - self.width * self.means[:, None] * self.means

    @property
    def is_constant(self) -> bool:
        """Whether the features are the same for all images."""
        return not bool(_centred(self.inner).trace() > _NOISE * self.inner.trace())

    @property
    def flat(self) -> Tensor:
        """(N,) whether an image's features are all the same number."""
        return ~(self.within.diagonal() > _NOISE * self.inner.diagonal())


def cka(given: Representation) -> Tensor:
    """The vector whose cosines are linear CKA (Kornblith et al. 2019, equations 3 and 4).

    `HSIC(K, L) = tr(K H L H) / (N - 1)^2` with K = X X^T, H = I - 1 1' / N and
    `CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))`; with centred features this is
    `|Y^T X|^2 / (|X^T X| |Y^T Y|)` of Frobenius norms. Undefined for constant features.
    """
    centred = _centred(given.inner)
    return torch.cat([centred.diagonal(), math.sqrt(2) * _pairs(centred)])


def unbiased_cka(given: Representation) -> Tensor:
    """The same with the unbiased estimate of HSIC (Nguyen et al. 2021, equation 3).

    `HSIC(K, L) = [tr(K L) + (1'K1)(1'L1) / ((N - 1)(N - 2)) - 2 / (N - 2) 1'KL1] / (N (N - 3))`
    with the diagonals of K and L set to 0. It is the inner product of K and L after U-centring,
    which makes their rows add up to 0 (Szekely and Rizzo 2014). About 0 for unrelated features,
    where the other is above 0, and close to 1 if there are many more features than images.
    """
    count = len(given.inner)
    inner = _centred(given.inner).fill_diagonal_(0)  # smaller numbers, the same result
    rows = inner.sum(dim=1)
    shift = rows.sum() / ((count - 1) * (count - 2))
    return _pairs(inner - (rows[:, None] + rows) / (count - 2) + shift)


def rsa(given: Representation) -> Tensor:
    """The vector whose cosines are Spearman's correlations of distances between images.

    The distance of two images is 1 - r, with Pearson's correlation r over their features
    (Kriegeskorte et al. 2008); the ranks of equal distances are averaged. Undefined if an image's
    features are all the same number, as r is, and if all distances are the same.
    """
    within = given.within
    sizes = within.diagonal().sqrt()
    distances = _pairs(1 - within / sizes[:, None] / sizes).round(decimals=_DECIMALS)
    ranks = torch.from_numpy(rankdata(distances.numpy()))
    return ranks - ranks.mean()


MEASURES: Mapping[str, Callable[[Representation], Tensor]] = {
    "cka": cka,
    "cka_unbiased": unbiased_cka,
    "rsa": rsa,
}


def similarities(
    first: Sequence[Representation], second: Sequence[Representation]
) -> dict[str, Tensor]:
    """All measures between each representation of one network and each of another.

    Args:
        first: A of them, of N images each, at least `LEAST`.
        second: B of them, of the same images in the same order.

    Returns:
        (A, B) float64 by the names in `MEASURES`; not a number where a measure is undefined.
    """
    found = {}
    for name, measure in MEASURES.items():
        rows = [_unit(each, measure) for each in first]
        columns = []
        for each in second:  # one at a time: each is as large as half of its inner products
            vector = _unit(each, measure)
            columns.append(torch.stack([row @ vector for row in rows]))
        found[name] = torch.stack(columns, dim=1)
    return found


def memory(images: int, layers: tuple[int, int]) -> int:
    """Bytes that the representations of two networks' layers and `similarities` take at most."""
    first, second = layers
    return images**2 * (8 * (first + second) + 4 * first + 32)


def _centred(inner: Tensor) -> Tensor:
    """H K H with H = I - 1 1' / N."""
    rows = inner.mean(dim=1)
    return inner - rows[:, None] - rows + rows.mean()


def _pairs(square: Tensor) -> Tensor:
    """(N (N - 1) / 2,) what lies above the diagonal, row by row."""
    return torch.cat([row[number + 1 :] for number, row in enumerate(square)])


def _unit(given: Representation, measure: Callable[[Representation], Tensor]) -> Tensor:
    is_undefined = given.flat.any() if measure is rsa else given.is_constant
    vector = measure(given)
    return torch.full_like(vector, torch.nan) if is_undefined else vector / vector.norm()
