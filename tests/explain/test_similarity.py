"""CKA and RSA against their formulas, written out in float64 with the centring matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import ortho_group, spearmanr

from cnntrain.explain.similarity import Representation, similarities

Array = NDArray[np.float64]
IMAGES = 30


def random(features: int, *, seed: int, images: int = IMAGES) -> Array:
    """Features of unequal variance, far from the origin."""
    generator = np.random.default_rng(seed)
    return generator.normal(size=(images, features)) * np.arange(1, features + 1) + 3


def of(values: Array) -> Representation:
    given = torch.from_numpy(values)
    return Representation(given @ given.T, given.mean(dim=1), given.shape[1])


def similarity(x: Array, y: Array) -> dict[str, float]:
    return {name: float(found) for name, found in similarities([of(x)], [of(y)]).items()}


def hsic(x: Array, y: Array) -> float:
    """Kornblith et al. 2019, equation 3."""
    n = len(x)
    centring = np.eye(n) - np.ones((n, n)) / n
    return float(np.trace(x @ x.T @ centring @ y @ y.T @ centring)) / (n - 1) ** 2


def unbiased_hsic(x: Array, y: Array) -> float:
    """Nguyen et al. 2021, equation 3."""
    n, ones = len(x), np.ones(len(x))
    k, el = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(el, 0)
    product = (ones @ k @ ones) * (ones @ el @ ones) / ((n - 1) * (n - 2))
    found = np.trace(k @ el) + product - 2 / (n - 2) * (ones @ k @ el @ ones)
    return float(found) / (n * (n - 3))


RELATED = random(7, seed=0)[:, :4] @ np.random.default_rng(9).normal(size=(4, 40))


@pytest.mark.parametrize("y", [random(5, seed=1), RELATED, random(200, seed=2)])
def test_cka_is_its_formula(y: Array) -> None:
    x = random(7, seed=0)
    found = similarity(x, y)
    assert found["cka"] == pytest.approx(hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y)), abs=1e-12)
    unbiased = unbiased_hsic(x, y) / np.sqrt(unbiased_hsic(x, x) * unbiased_hsic(y, y))
    assert found["cka_unbiased"] == pytest.approx(unbiased, abs=1e-12)
    # the same in the space of features, for centred ones
    a, b = (each - each.mean(axis=0) for each in (x, y))
    norm = np.linalg.norm
    assert found["cka"] == pytest.approx(norm(b.T @ a) ** 2 / norm(a.T @ a) / norm(b.T @ b))


@pytest.mark.parametrize("features", [2, 7])
def test_rsa_is_the_rank_correlation_of_distances(features: int) -> None:
    """With ties: two images that are the same; of two features all correlations are 1 or -1."""
    x, y = random(7, seed=0)[:, :features], RELATED
    x[1] = x[0]
    upper = np.triu_indices(IMAGES, 1)
    distances = [np.round(1 - np.corrcoef(each), 9)[upper] for each in (x, y)]
    expected: Any = spearmanr(*distances)
    assert similarity(x, y)["rsa"] == pytest.approx(expected.statistic, abs=1e-9)
    assert 0.01 < abs(expected.statistic) < 0.95


def test_what_changes_nothing_and_what_does() -> None:
    """Kornblith et al. 2019, section 2: rotations and one scale; not every invertible map."""
    x, y = random(7, seed=0), RELATED
    plain = similarity(x, y)
    rotation = ortho_group.rvs(7, random_state=3)
    for moved in (x @ rotation, 1e-4 * x, x + np.arange(7.0) * 50):
        found = similarity(moved, y)
        assert found["cka"] == pytest.approx(plain["cka"], abs=1e-9)
        assert found["cka_unbiased"] == pytest.approx(plain["cka_unbiased"], abs=1e-9)
    assert similarity(x, x @ rotation)["cka"] == pytest.approx(1)
    stretched = x @ np.diag([1.0, 1, 1, 1, 1, 1, 20])
    assert abs(similarity(stretched, y)["cka"] - plain["cka"]) > 0.05
    # distances by correlation: neither the scale nor an offset of each image matters
    factors = np.random.default_rng(4).uniform(0.5, 2, size=(IMAGES, 1))
    assert similarity(x * factors + factors, y)["rsa"] == pytest.approx(plain["rsa"], abs=1e-9)


def test_the_same_is_1_and_a_matrix_has_a_row_for_each_of_the_first() -> None:
    several = [of(random(7, seed=0)), of(RELATED), of(random(300, seed=5))]
    found = similarities(several, several)
    for values in found.values():
        assert values.shape == (3, 3)
        torch.testing.assert_close(values.diagonal(), torch.ones(3, dtype=torch.float64))
        torch.testing.assert_close(values, values.T)
    narrow = similarities(several[:1], several)
    for name, values in narrow.items():
        torch.testing.assert_close(values, found[name][:1])


def test_unrelated_features_are_unlike_by_the_unbiased_estimate_alone() -> None:
    """Of 300 features and 30 images the plain estimate makes 0.9; the mean of the other is 0."""
    drawn = [
        similarity(*(np.random.default_rng(2 * n + k).normal(size=(IMAGES, 300)) for k in (0, 1)))
        for n in range(40)
    ]
    assert np.mean([each["cka"] for each in drawn]) > 0.85
    assert abs(np.mean([each["cka_unbiased"] for each in drawn])) < 0.02


@pytest.mark.parametrize("offset", [0.0, 0.1, -1e6])
def test_what_has_no_answer_is_not_a_number(offset: float) -> None:
    x, same = random(7, seed=0), np.tile(random(7, seed=1)[:1], (IMAGES, 1)) + offset
    found = similarity(x, same)
    assert np.isnan([found["cka"], found["cka_unbiased"]]).all()
    x[4] = offset  # one image is the same number everywhere: no correlation
    found = similarity(x, RELATED)
    assert np.isnan(found["rsa"])
    assert found["cka"] > 0
