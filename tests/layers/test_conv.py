"""Convolution: correlation, padding, counts; numbers from the definition, worked by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cnntrain.layers.conv import conv
from cnntrain.layers.linear import linear


def convolve(image: Any, kernel: Any, **parameters: Any) -> list[list[float]]:
    layer = conv(in_channels=1, out=1, kernel=3, bias=False, **parameters)
    layer.weight.data = torch.tensor(kernel, dtype=torch.float32).view(1, 1, 3, 3)
    size = len(image)
    result: list[list[float]] = layer(
        torch.tensor(image, dtype=torch.float32).view(1, 1, size, size)
    )[0, 0].tolist()
    return result


IMAGE = [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]]
CROSS = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]


def test_the_textbook_example() -> None:
    assert convolve(IMAGE, CROSS) == [[4, 3, 4], [2, 4, 3], [2, 3, 4]]


def test_the_textbook_example_with_a_border_of_zeros() -> None:
    wide = [[2, 2, 3, 1, 1], [1, 4, 3, 4, 1], [1, 2, 4, 3, 3], [1, 2, 3, 4, 1], [0, 2, 2, 1, 1]]
    assert convolve(IMAGE, CROSS, padding=1) == wide
    assert convolve(IMAGE, CROSS, padding="same") == wide


def test_the_kernel_is_not_flipped() -> None:
    # 1*1 + 2*2 + ... + 9*9 = 285; a convolution with flip gives 1*9 + 2*8 + ... + 9*1 = 165.
    digits = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert convolve(digits, digits) == [[285]]


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1)])
def test_it_is_a_linear_layer_with_shared_weights_and_zeros(stride: int, padding: int) -> None:
    channels, out, size, k = 2, 3, 6, 3
    layer = conv(in_channels=channels, out=out, kernel=k, stride=stride, padding=padding)
    after = (size + 2 * padding - k) // stride + 1
    toeplitz = np.zeros((out, after, after, channels, size, size))
    weight = layer.weight.detach().numpy()
    for o, i, j, c, p, q in np.ndindex(out, after, after, channels, k, k):
        row, column = i * stride + p - padding, j * stride + q - padding
        if 0 <= row < size and 0 <= column < size:
            toeplitz[o, i, j, c, row, column] = weight[o, c, p, q]
    x = torch.randn(4, channels, size, size, generator=torch.Generator().manual_seed(0))
    matrix = toeplitz.reshape(out * after**2, channels * size**2)
    bias = layer.bias.detach().numpy().repeat(after**2)  # type: ignore[union-attr]  # it has one
    expected = x.flatten(1).numpy() @ matrix.T + bias
    np.testing.assert_allclose(layer(x).flatten(1).detach().numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("size", [5, 6, 7, 28])
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
def test_same_padding_gives_input_over_stride_rounded_up(
    size: int, kernel: int, stride: int, dilation: int
) -> None:
    layer = conv(
        in_channels=1, out=1, kernel=kernel, stride=stride, dilation=dilation, padding="same"
    )
    shape = layer.to("meta")(torch.empty(1, 1, size, size, device="meta")).shape
    assert shape[2:] == (math.ceil(size / stride),) * 2


def test_same_padding_is_symmetric() -> None:
    x = torch.randn(1, 2, 9, 9, generator=torch.Generator().manual_seed(0))
    layer = conv(in_channels=2, out=2, kernel=3, stride=2, padding="same", bias=False)
    flipped = conv(in_channels=2, out=2, kernel=3, stride=2, padding="same", bias=False)
    flipped.weight.data = layer.weight.data.flip(3)
    torch.testing.assert_close(flipped(x.flip(3)), layer(x).flip(3))


def test_the_planner_can_read_the_window() -> None:
    layer = conv(in_channels=1, out=1, kernel=(3, 5), stride=2, padding="same", dilation=(1, 2))
    assert layer.kernel_size == (3, 5)
    assert (layer.stride, layer.padding, layer.dilation) == ((2, 2), (1, 4), (1, 2))


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_parameter_counts() -> None:
    # out x (1 + kernel^2 x in / groups); a linear layer out x (1 + in).
    assert count(conv(in_channels=3, out=64, kernel=3)) == 64 * (1 + 9 * 3) == 1792
    assert count(conv(in_channels=1, out=6, kernel=5)) == 156
    assert count(conv(in_channels=6, out=16, kernel=5)) == 2416
    assert count(conv(in_channels=96, out=256, kernel=5, groups=2)) == 256 * (1 + 25 * 48)
    assert count(conv(in_channels=3, out=16, kernel=5, bias=False)) == 1200
    assert count(linear(in_features=784, out=300)) == 300 * 785


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"kernel": 4},
            "padding 'same' needs an odd kernel to have a centre, not 4; choose an odd",
        ),
        ({"kernel": (3, 2)}, r"an odd kernel to have a centre, not \[3, 2\]"),
        ({"groups": 3}, "groups 3 does not divide the 4 input channels; choose a divisor of both"),
        ({"groups": 4}, "groups 4 does not divide the 6 output channels; choose a divisor of both"),
    ],
)
def test_what_it_refuses(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        conv(in_channels=4, out=6, padding="same", **parameters)
