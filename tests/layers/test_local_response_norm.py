"""Local response normalisation against Krizhevsky et al. 2012, section 3.3, in a loop."""

from __future__ import annotations

import pytest
import torch

from cnntrain.layers.local_response_norm import local_response_norm


@pytest.mark.parametrize(("size", "alpha", "beta", "k"), [(5, 1e-4, 0.75, 2.0), (3, 0.5, 1.2, 1.0)])
def test_it_is_the_papers_formula(size: int, alpha: float, beta: float, k: float) -> None:
    maps = 7
    a = torch.randn(2, maps, 3, 3, generator=torch.Generator().manual_seed(0)).double() * 20
    expected = torch.zeros_like(a)
    for i in range(maps):
        total = torch.zeros_like(a[:, 0])
        for j in range(max(0, i - size // 2), min(maps - 1, i + size // 2) + 1):
            total += a[:, j] ** 2
        expected[:, i] = a[:, i] / (k + alpha * total) ** beta
    layer = local_response_norm(in_shape=(maps, 3, 3), size=size, alpha=alpha, beta=beta, k=k)
    torch.testing.assert_close(layer(a), expected)


def test_defaults_are_the_papers() -> None:
    layer = local_response_norm(in_shape=(7, 3, 3))
    assert (layer.size, layer.beta, layer.k) == (5, 0.75, 2.0)
    assert layer.alpha == pytest.approx(5 * 1e-4)  # torch divides by the size


def test_what_it_refuses() -> None:
    with pytest.raises(ValueError, match="size 4 is even and has no middle map; use 3 or 5"):
        local_response_norm(in_shape=(7, 3, 3), size=4)
    with pytest.raises(ValueError, match="local_response_norm reads maps"):
        local_response_norm(in_shape=(7,))
