"""Lp pooling against loops over its formula, and its limits."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cnntrain.layers.l2_pool import l2_pool
from cnntrain.layers.lp_pool import LpPool

SHAPE = (2, 7, 6)


def image(dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=dtype)


def by_loops(x: Tensor, p: float, kernel: int, stride: int, padding: int) -> Tensor:
    """(sum over the window of |x|**p) ** (1 / p) with zeros around the image."""
    x = functional.pad(x, (padding, padding, padding, padding))
    height, width = ((side - kernel) // stride + 1 for side in x.shape[2:])
    y = torch.empty(1, x.shape[1], height, width, dtype=x.dtype)
    for c, i, j in itertools.product(range(x.shape[1]), range(height), range(width)):
        total = 0.0
        for a, b in itertools.product(range(kernel), range(kernel)):
            total += abs(x[0, c, i * stride + a, j * stride + b].item()) ** p
        y[0, c, i, j] = total ** (1 / p)
    return y


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0, 4.0, 4.5, 10.0])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 1, 0)])
def test_it_is_the_p_norm_of_each_window(p: float, kernel: int, stride: int, padding: int) -> None:
    layer = LpPool(in_shape=SHAPE, p=p, kernel=kernel, stride=stride, padding=padding)
    torch.testing.assert_close(layer(image()), by_loops(image(), p, kernel, stride, padding))


def test_p_1_is_the_sum_and_p_2_is_l2_pooling() -> None:
    x = image()
    absolute = functional.avg_pool2d(x.abs(), 2) * 4
    torch.testing.assert_close(LpPool(in_shape=SHAPE, p=1.0)(x), absolute)
    torch.testing.assert_close(l2_pool(in_shape=SHAPE)(x), functional.lp_pool2d(x, 2.0, 2))
    assert torch.equal(l2_pool(in_shape=SHAPE)(x), LpPool(in_shape=SHAPE, p=2.0)(x))


@pytest.mark.parametrize("factor", [1e-20, 1.0, 1e20])
def test_large_p_is_max_pooling_of_absolute_values(factor: float) -> None:
    # The norm of 9 values lies between their maximum and 9 ** (1 / p) times it.
    x = image(torch.float32) * factor
    largest = functional.max_pool2d(x.abs(), 3, 2)
    ratio = LpPool(in_shape=SHAPE, p=1000.0, kernel=3, stride=2)(x) / largest
    assert ratio.min() >= 1 - 1e-6
    assert ratio.max() <= 9 ** (1 / 1000) + 1e-6


@pytest.mark.parametrize("p", [1.0, 2.0, 4.0, 7.0])
def test_a_constant_gives_the_constant_times_the_root_of_the_area(p: float) -> None:
    x = torch.full((1, 1, 4, 4), -0.3, dtype=torch.float64)
    y = LpPool(in_shape=(1, 4, 4), p=p)(x)
    torch.testing.assert_close(y, torch.full_like(y, 0.3 * 4 ** (1 / p)))


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 4.0, 7.0])
def test_zeros_give_zero_with_gradient_zero(p: float) -> None:
    x = torch.zeros(1, 1, 4, 4, requires_grad=True)
    y = LpPool(in_shape=(1, 4, 4), p=p)(x)
    y.sum().backward()
    assert torch.equal(y, torch.zeros(1, 1, 2, 2))
    assert x.grad is not None
    assert torch.equal(x.grad, torch.zeros_like(x))


@pytest.mark.parametrize("p", [2.0, 10.0])
def test_half_precision_is_rounded_once(p: float) -> None:
    x = image(torch.float32).bfloat16() * 300
    layer = LpPool(in_shape=SHAPE, p=p)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.double(), layer(x.double()), rtol=2**-8, atol=0)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"p": 0.5}, "with p 0.5 it is not a norm, .*; use at least 1"),
        ({"kernel": 3, "padding": 2}, r"lp_pool: padding \[2, 2\] is more than half"),
        ({"in_shape": (10,)}, r"lp_pool reads maps \(C, H, W\)"),
    ],
)
def test_what_it_refuses(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LpPool(**{"in_shape": SHAPE, **parameters})
