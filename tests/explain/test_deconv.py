"""The deconvolutional network against its steps done one by one with torch's own inverses."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnntrain.explain.deconv import deconvolve


def projected(
    net: nn.Module, image: Tensor, layer: str, unit: int, row: int, column: int
) -> Tensor:
    return deconvolve(net, image, layer=layer, units=[unit], rows=[row], columns=[column])


def one(values: Tensor, unit: int, row: int, column: int) -> Tensor:
    """All values but one set to zero."""
    alone = torch.zeros_like(values)
    alone[0, unit, row, column] = values[0, unit, row, column]
    return alone


def test_a_convolution_is_undone_by_its_transposed_filters() -> None:
    conv = nn.Conv2d(3, 4, 5, stride=2, padding=1)
    image = torch.randn(1, 3, 13, 13)
    signal = one(conv(image), 2, 3, 1)
    expected = functional.conv_transpose2d(signal, conv.weight, stride=2, padding=1)
    found = projected(nn.Sequential(conv), image, "0", 2, 3, 1)
    torch.testing.assert_close(found, expected)


def test_a_rectified_convolution_is_undone_likewise() -> None:
    """Zeiler and Fergus 2014, section 2.1: rectify, then filter by the transposed filters."""
    conv = nn.Conv2d(2, 3, 3)
    image = torch.randn(1, 2, 6, 6)
    unit, row, column = (conv(image)[0] == conv(image).max()).nonzero()[0].tolist()
    signal = one(conv(image).relu(), unit, row, column)
    expected = functional.conv_transpose2d(signal, conv.weight)
    net = nn.Sequential(conv, nn.ReLU())
    torch.testing.assert_close(projected(net, image, "1", unit, row, column), expected)


def test_two_stages_are_undone_by_filters_switches_and_rectifiers() -> None:
    """Zeiler and Fergus 2014, figure 1, with torch's max_unpool2d for the switches."""
    first, second = nn.Conv2d(1, 6, 3, padding=1), nn.Conv2d(6, 5, 3, padding=1)
    net = nn.Sequential(first, nn.ReLU(), nn.MaxPool2d(2), second, nn.ReLU())
    image = torch.randn(1, 1, 12, 12)
    maps = first(image).relu()
    pooled, switches = functional.max_pool2d(maps, 2, return_indices=True)
    top = second(pooled).relu()
    unit, row, column = (top[0] == top.max()).nonzero()[0].tolist()
    signal = one(top, unit, row, column).relu()
    signal = functional.conv_transpose2d(signal, second.weight, padding=1)
    signal = functional.max_unpool2d(signal, switches, 2).relu()
    expected = functional.conv_transpose2d(signal, first.weight, padding=1)
    found = projected(net, image, "4", unit, row, column)
    torch.testing.assert_close(found, expected)

    seen = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net(seen), seen, one(top, unit, row, column))
    assert not torch.allclose(found, gradient)  # which gates the signal by the forward pass


def test_contrast_normalisation_is_left_out_of_the_way_back() -> None:
    conv = nn.Conv2d(2, 6, 3)
    net = nn.Sequential(conv, nn.LocalResponseNorm(3, alpha=5.0))
    image = torch.randn(1, 2, 7, 7)
    signal = one(net(image), 1, 2, 2)
    expected = functional.conv_transpose2d(signal, conv.weight)
    torch.testing.assert_close(projected(net, image, "1", 1, 2, 2), expected)


def test_the_network_is_as_before() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(18, 3))
    images = torch.randn(2, 1, 5, 5)
    before = net(images)
    found = deconvolve(net, images, layer="3", units=[0, 2], rows=[0, 0], columns=[0, 0])
    assert found.shape == images.shape
    assert torch.equal(net(images), before)
    assert not any(module._forward_hooks for module in net.modules())
