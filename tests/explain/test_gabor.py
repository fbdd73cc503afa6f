"""Gabor functions, recovered from pixels that were made of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cnntrain.explain.gabor import fit_gabor, grey_filters

Y, X = np.mgrid[:11, :11].astype(np.float64)


def made(
    angle: float, frequency: float, phase: float, width: float = 2.0, length: float = 2.8
) -> np.ndarray:
    """Daugman 1985, written down anew: the centre is at x 5.5, y 4.5, the amplitude 0.7."""
    u = (X - 5.5) * math.cos(angle) + (Y - 4.5) * math.sin(angle)
    v = -(X - 5.5) * math.sin(angle) + (Y - 4.5) * math.cos(angle)
    window = np.exp(-(u**2) / (2 * width**2) - v**2 / (2 * length**2))
    return 0.7 * window * np.cos(2 * math.pi * frequency * u + phase)


@pytest.mark.parametrize("angle", [0.3, 1.4, 2.9])
@pytest.mark.parametrize(("frequency", "phase"), [(0.12, 1.2), (0.25, -0.4), (0.25, 3.0)])
def test_the_parameters_come_back(angle: float, frequency: float, phase: float) -> None:
    pattern = made(angle, frequency, phase)
    fit = fit_gabor(pattern)
    assert fit.explained > 0.9999
    np.testing.assert_allclose(fit.values(11, 11), pattern, atol=0.01)
    assert fit.frequency == pytest.approx(frequency, abs=0.01)
    assert math.cos(2 * (fit.orientation - angle)) > 0.999
    assert (fit.x, fit.y) == pytest.approx((5.5, 4.5), abs=0.1)
    assert (fit.width, fit.length) == pytest.approx((2.0, 2.8), abs=0.15)


def test_noise_is_no_gabor_function() -> None:
    rng = np.random.default_rng(0)
    pattern = made(0.6, 0.2, 0.0)
    noise = rng.normal(size=pattern.shape)
    assert fit_gabor(noise).explained < 0.5
    mixed = pattern + 0.1 * noise
    explained = 1 - ((0.1 * noise) ** 2).sum() / (mixed**2).sum()
    assert fit_gabor(mixed).explained == pytest.approx(explained, abs=0.03)


def test_a_colour_filter_is_its_pattern_times_its_colour() -> None:
    pattern = torch.randn(5, 5, dtype=torch.float64)
    colour = torch.tensor([0.2, -0.9, 0.1], dtype=torch.float64)
    found = grey_filters(torch.einsum("c,hw->chw", colour, pattern)[None])[0]
    expected = -pattern * colour.norm()  # the colours sum to less than zero
    torch.testing.assert_close(found, expected)


def test_zeros() -> None:
    fit = fit_gabor(np.zeros((5, 5)))
    assert fit.explained == 0
    assert np.isfinite(list(vars(fit).values())).all()
