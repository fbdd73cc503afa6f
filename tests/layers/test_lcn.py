"""Local contrast normalisation against loops over the paper's equations, and its invariances."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from cnntrain.layers.lcn import LocalContrastNorm


def lcn(shape: tuple[int, ...] = (3, 12, 10), **parameters: Any) -> LocalContrastNorm:
    return LocalContrastNorm(in_shape=shape, **parameters)


def images(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def weighted_mean(x: np.ndarray, row: int, column: int, kernel: int, sigma: float) -> float:
    """sum of w x over the maps and the part of the window inside of the image, sum of w = 1."""
    total = weights = 0.0
    for p in range(row - kernel // 2, row + kernel // 2 + 1):
        for q in range(column - kernel // 2, column + kernel // 2 + 1):
            if 0 <= p < x.shape[1] and 0 <= q < x.shape[2]:
                w = math.exp(-((p - row) ** 2 + (q - column) ** 2) / (2 * sigma**2))
                total += w * sum(x[i, p, q] for i in range(x.shape[0]))
                weights += w * x.shape[0]
    return total / weights


def by_loops(x: np.ndarray, kernel: int, sigma: float) -> np.ndarray:
    """Jarrett et al. 2009, section 2.1, one image (C, H, W), floor = mean of sigma."""
    pixels = [(row, column) for row in range(x.shape[1]) for column in range(x.shape[2])]
    v, deviation = np.zeros_like(x), np.zeros(x.shape[1:])
    for j, k in pixels:
        v[:, j, k] = x[:, j, k] - weighted_mean(x, j, k, kernel, sigma)
    for j, k in pixels:
        deviation[j, k] = math.sqrt(weighted_mean(v**2, j, k, kernel, sigma))
    y: np.ndarray = v / np.maximum(deviation, deviation.mean())
    return y


@pytest.mark.parametrize(("kernel", "sigma"), [(9, None), (7, 1.5), (3, 0.6), (1, None)])
def test_it_is_the_papers_formula(kernel: int, sigma: float | None) -> None:
    x = images(2, 3, 12, 10)
    actual = lcn(kernel=kernel, sigma=sigma)(x)
    for image, result in zip(x.numpy(), actual.numpy(), strict=True):
        np.testing.assert_allclose(result, by_loops(image, kernel, sigma or kernel / 4), atol=1e-12)


def test_without_across_maps_each_map_is_an_image_by_itself() -> None:
    x = images(2, 3, 12, 10)
    actual = lcn(kernel=5, across_maps=False)(x)
    alone = lcn((1, 12, 10), kernel=5)
    expected = torch.cat([alone(x[:, c : c + 1]) for c in range(3)], dim=1)
    torch.testing.assert_close(actual, expected)


def test_each_image_has_a_floor_of_its_own() -> None:
    x = images(2, 3, 12, 10)
    x[1] *= 100
    torch.testing.assert_close(lcn()(x), torch.cat([lcn()(x[:1]), lcn()(x[1:])]))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("value", [4.0, 0.1, -1 / 3, 1e-3, 255.0])
@pytest.mark.parametrize("across_maps", [True, False])
def test_a_constant_image_gives_exactly_zero(
    dtype: torch.dtype, value: float, across_maps: bool
) -> None:
    # With zeros around the image and no renormalised windows, value 4 gave up to 2.3 at the border.
    x = torch.full((2, 3, 12, 10), value, dtype=dtype)
    y = lcn(kernel=7, across_maps=across_maps)(x)
    assert y.dtype == dtype
    assert torch.equal(y, torch.zeros_like(y))


def test_brightness_changes_nothing() -> None:
    # Zero padding would change the interior by 0.35 through the mean floor.
    x = images(2, 3, 24, 24)
    torch.testing.assert_close(lcn(kernel=7)(x + 5), lcn(kernel=7)(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("factor", [1e-2, 0.5, 3.0, 1e4])
def test_contrast_changes_nothing_above_the_floor(factor: float) -> None:
    x = images(2, 3, 24, 24)
    torch.testing.assert_close(lcn()(factor * x), lcn()(x), rtol=0, atol=1e-12)


def test_below_a_numeric_floor_contrast_is_only_scaled() -> None:
    # v / floor is linear in x where sigma stays below the floor.
    x = images(1, 3, 12, 10) * 0.01
    layer = lcn(floor=1.0)
    torch.testing.assert_close(layer(2 * x), 2 * layer(x), rtol=0, atol=1e-12)
    assert layer(x).abs().max() < 0.1


def test_noise_gets_local_standard_deviation_one() -> None:
    # max(sigma, mean) exceeds sigma in part of the image, hence a little less than 1.
    y = lcn((3, 64, 64))(images(1, 3, 64, 64))
    assert y.square().mean().sqrt() == pytest.approx(1, abs=0.1)
    assert y.mean() == pytest.approx(0, abs=0.02)


def test_the_gradient_at_constant_images_is_that_of_the_centring() -> None:
    # There y = v / epsilon, linear in x, so the Jacobian is finite and exact.
    x = torch.full((1, 2, 5, 5), 0.7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lcn((2, 5, 5), kernel=3, epsilon=1e-2), (x,), eps=1e-6)


def test_autocast_does_not_round_the_statistics() -> None:
    x = images(2, 3, 24, 24, dtype=torch.float32) + 20
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = lcn()(x)
    assert torch.equal(inside, lcn()(x))


def test_half_precision_inputs_are_normalised_in_float32() -> None:
    x = (images(2, 3, 24, 24, dtype=torch.float32) + 20).bfloat16()
    exact = lcn()(x.double())
    # One rounding of the result to 8 significant bits.
    torch.testing.assert_close(lcn()(x).double(), exact, rtol=2**-8, atol=1e-4)


def test_the_image_may_be_smaller_than_the_window_and_of_another_size() -> None:
    x = images(1, 3, 4, 5)
    result = lcn(kernel=11)(x)
    np.testing.assert_allclose(result[0].numpy(), by_loops(x[0].numpy(), 11, 11 / 4), atol=1e-12)


def test_its_receptive_field_is_two_windows() -> None:
    layer = lcn((1, 40, 40), kernel=5, floor=1e-6, epsilon=1e-9)
    x = images(1, 1, 40, 40).requires_grad_()
    (gradient,) = torch.autograd.grad(layer(x)[0, 0, 20, 20], x)
    seen = gradient[0, 0].nonzero()
    assert (seen.max(0).values - seen.min(0).values + 1).tolist() == [layer.kernel_size] * 2


@pytest.mark.parametrize(
    ("shape", "parameters", "message"),
    [
        ((3, 8, 8), {"kernel": 4}, "kernel 4 is even and has no centre; use 3 or 5"),
        ((1, 8, 8), {"kernel": 1}, "a pixel is its own mean; use kernel 3 or more"),
        ((3, 8, 8), {"kernel": 1, "across_maps": False}, "use kernel 3 or more"),
        ((8,), {}, r"lcn reads maps \(C, H, W\), but its input is \(8,\); put it above"),
    ],
)
def test_what_it_refuses(shape: tuple[int, ...], parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lcn(shape, **parameters)
