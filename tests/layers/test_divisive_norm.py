"""Divisive normalisation against loops over its formula, and its invariances."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from cnntrain.layers.divisive_norm import DivisiveNorm


def norm(shape: tuple[int, ...] = (5, 8, 7), **parameters: Any) -> DivisiveNorm:
    return DivisiveNorm(in_shape=shape, **parameters)


def image(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("maps", [None, 1, 3, 5])
@pytest.mark.parametrize("kernel", [(3, 3), (1, 5), (9, 1)])
def test_it_is_the_formula(maps: int | None, kernel: tuple[int, int]) -> None:
    x = image(1, 5, 8, 7)
    y = norm(kernel=kernel, maps=maps, epsilon=0.2)(x)
    reach = 5 if maps is None else maps // 2
    for c, i, j in itertools.product(range(5), range(8), range(7)):
        energy = sum(
            x[0, k, p, q].item() ** 2
            for k, p, q in itertools.product(range(5), range(8), range(7))
            if abs(k - c) <= reach and abs(p - i) <= kernel[0] // 2 and abs(q - j) <= kernel[1] // 2
        )
        assert y[0, c, i, j].item() == pytest.approx(x[0, c, i, j].item() / math.sqrt(0.2 + energy))


def test_contrast_changes_nothing() -> None:
    x = image(2, 5, 8, 7)
    layer = norm(epsilon=1e-12)
    torch.testing.assert_close(layer(1000 * x), layer(x))


@pytest.mark.parametrize(("maps", "values"), [(None, 6 * 3 * 5), (3, 3 * 3 * 5), (1, 3 * 5)])
def test_a_constant_gives_one_by_the_root_of_the_window(maps: int | None, values: int) -> None:
    x = torch.full((1, 6, 12, 12), 7.0)
    y = norm((6, 12, 12), kernel=(3, 5), maps=maps, epsilon=1e-9)(x)
    interior = y[:, 1:-1, 1:-1, 2:-2]
    torch.testing.assert_close(interior, torch.full_like(interior, 1 / math.sqrt(values)))


def test_zeros_stay_zero_with_a_finite_slope() -> None:
    x = torch.zeros(1, 5, 8, 7, requires_grad=True)
    y = norm(epsilon=1e-4)(x)
    y.sum().backward()
    assert torch.equal(y.detach(), torch.zeros(1, 5, 8, 7))
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.full_like(x, 100.0))  # 1 / sqrt(epsilon)


def test_half_precision_is_rounded_once() -> None:
    x = image(1, 5, 8, 7).half() * 1000  # squares overflow float16
    torch.testing.assert_close(norm()(x).double(), norm()(x.double()), rtol=2**-10, atol=1e-7)


@pytest.mark.parametrize(
    ("shape", "parameters", "message"),
    [
        ((3, 8, 8), {"kernel": 4}, "kernel 4 is even and has no centre; use 3 or 5"),
        ((3, 8, 8), {"kernel": (3, 2)}, "kernel 2 is even"),
        ((3, 8, 8), {"maps": 2}, "maps 2 is even and has no centre; use 1 or 3"),
        ((8,), {}, r"divisive_norm reads maps \(C, H, W\)"),
    ],
)
def test_what_it_refuses(shape: tuple[int, ...], parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        norm(shape, **parameters)
