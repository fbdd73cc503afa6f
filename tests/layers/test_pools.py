"""Pooling against loops over windows, and against torch's adaptive pooling."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cnntrain.layers.avg_pool import avg_pool
from cnntrain.layers.global_pool import GlobalAvgPool, GlobalMaxPool
from cnntrain.layers.max_pool import max_pool

SHAPE = (2, 7, 6)


def image() -> Tensor:
    return torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize("stride", [None, 1, 2])
def test_each_output_is_the_largest_or_mean_of_its_window(kernel: int, stride: int | None) -> None:
    x, step = image(), stride or kernel
    largest = max_pool(in_shape=SHAPE, kernel=kernel, stride=stride)(x)
    mean = avg_pool(in_shape=SHAPE, kernel=kernel, stride=stride)(x)
    assert largest.shape[2:] == ((7 - kernel) // step + 1, (6 - kernel) // step + 1)
    for i in range(largest.shape[2]):
        for j in range(largest.shape[3]):
            rows, columns = slice(i * step, i * step + kernel), slice(j * step, j * step + kernel)
            window = x[0, :, rows, columns].flatten(1)
            assert torch.equal(largest[0, :, i, j], window.max(1).values)
            torch.testing.assert_close(mean[0, :, i, j], window.mean(1))


def test_sizes_of_the_usual_pools() -> None:
    x = torch.zeros(1, 1, 28, 28)
    shape = (1, 28, 28)
    assert max_pool(in_shape=shape)(x).shape[2:] == (14, 14)
    # (28 - 3) / 2 + 1 = 13.5, rounded down or up.
    assert max_pool(in_shape=shape, kernel=3, stride=2)(x).shape[2:] == (13, 13)
    assert max_pool(in_shape=shape, kernel=3, stride=2, ceil=True)(x).shape[2:] == (14, 14)
    assert avg_pool(in_shape=shape, kernel=3, stride=2, ceil=True)(x).shape[2:] == (14, 14)


def test_padding_never_wins_and_counts_in_a_mean_only_if_asked() -> None:
    x = -torch.ones(1, 1, 4, 4)
    parameters: dict[str, Any] = {"in_shape": (1, 4, 4), "kernel": 3, "stride": 1, "padding": 1}
    assert torch.equal(max_pool(**parameters)(x), x)
    assert avg_pool(**parameters)(x)[0, 0, 0, 0].item() == pytest.approx(-4 / 9)
    torch.testing.assert_close(avg_pool(**parameters, count_padding=False)(x), x)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_global_pools_are_torchs_adaptive_pools_bit_for_bit(layout: torch.memory_format) -> None:
    x = torch.randn(8, 64, 7, 7, generator=torch.Generator().manual_seed(0))
    x = x.to(memory_format=layout)
    mean, largest = GlobalAvgPool(in_shape=(64, 7, 7)), GlobalMaxPool(in_shape=(64, 7, 7))
    assert torch.equal(mean(x), functional.adaptive_avg_pool2d(x, 1).flatten(1))
    assert torch.equal(largest(x), functional.adaptive_max_pool2d(x, 1).flatten(1))
    assert mean.receptive_field == largest.receptive_field == "image"


def test_what_they_refuse() -> None:
    for pool in (max_pool, avg_pool):
        message = r"padding \[2, 2\] is more than half of the kernel \[3, 3\]; use at most \[1, 1\]"
        with pytest.raises(ValueError, match=message):
            pool(in_shape=SHAPE, kernel=3, padding=2)
    for make in (max_pool, avg_pool, GlobalAvgPool, GlobalMaxPool):
        with pytest.raises(ValueError, match=r"reads maps \(C, H, W\), but its input is \(10,\)"):
            make(in_shape=(10,))
