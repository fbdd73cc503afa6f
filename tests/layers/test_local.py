"""Locally connected layers against loops, convolutions, and the counts of their connections."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cnntrain.layers.local import Local


def image(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(3, 1, 0), ((3, 2), (2, 1), (0, 1)), (2, 2, 1)]
)
def test_every_position_has_weights_of_its_own(kernel: Any, stride: Any, padding: Any) -> None:
    torch.manual_seed(0)
    layer = Local(in_shape=(2, 6, 5), out=3, kernel=kernel, stride=stride, padding=padding)
    layer = layer.double()
    x = image(2, 2, 6, 5)
    y = layer(x)
    (high, wide), (down, right), (top, left) = layer.kernel_size, layer.stride, layer.padding
    padded = functional.pad(x, (left, left, top, top))
    assert layer.bias is not None
    for i, j in itertools.product(range(y.shape[2]), range(y.shape[3])):
        window = padded[:, :, i * down : i * down + high, j * right : j * right + wide]
        weight = layer.weight[i * y.shape[3] + j].view(3, 2, high, wide)
        expected = torch.einsum("ncpq,ocpq->no", window, weight) + layer.bias[:, i, j]
        torch.testing.assert_close(y[:, :, i, j], expected)


def test_with_equal_weights_everywhere_it_is_a_convolution() -> None:
    conv = nn.Conv2d(3, 4, 3, stride=2, padding=1).double()
    layer = Local(in_shape=(3, 7, 8), out=4, kernel=3, stride=2, padding=1).double()
    assert conv.bias is not None
    assert layer.bias is not None
    layer.weight.data[:] = conv.weight.detach().flatten(1)
    layer.bias.data[:] = conv.bias.detach()[:, None, None]
    x = image(2, 3, 7, 8)
    torch.testing.assert_close(layer(x), conv(x))
    assert layer.fans == (27, 36)


def test_the_weights_are_those_of_a_convolution_times_the_positions() -> None:
    layer = Local(in_shape=(3, 12, 12), out=4, kernel=5)
    assert sum(p.numel() for p in layer.parameters()) == 8 * 8 * 4 * (3 * 25 + 1)


def test_a_million_units_that_see_10_x_10_pixels_have_100_million_weights() -> None:
    # The usual example of 1000 x 1000 pixels, with fields side by side: 10,000 places, 100 units.
    with torch.device("meta"):
        layer = Local(in_shape=(1, 1000, 1000), out=100, kernel=10, stride=10, bias=False)
    assert layer(torch.empty(1, 1, 1000, 1000, device="meta"))[0].numel() == 1_000_000
    assert layer.weight.numel() == 100_000_000


def test_its_initial_values_have_the_range_of_torchs_convolutions() -> None:
    torch.manual_seed(0)
    layer = Local(in_shape=(4, 20, 20), out=8, kernel=3)
    bound = 1 / 6  # 1 / sqrt(4 * 9)
    for parameter in layer.parameters():
        assert parameter.abs().max().item() == pytest.approx(bound, rel=0.01)
        assert parameter.abs().max() <= bound


def test_what_it_refuses() -> None:
    with pytest.raises(ValueError, match=r"local reads maps \(C, H, W\)"):
        Local(in_shape=(10,), out=1)
    message = r"the window \[5, 5\] is larger than the map with its padding; use a smaller kernel"
    with pytest.raises(ValueError, match=message):
        Local(in_shape=(1, 4, 9), out=1, kernel=5)
