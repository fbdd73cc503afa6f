"""Layers of decoders: transposed convolution, upsampling, unflatten; against their definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from cnntrain.arch.build import build
from cnntrain.arch.init_schemes import fans_of
from cnntrain.arch.plan import Plan
from cnntrain.core.errors import ConfigError
from cnntrain.layers.conv import conv
from cnntrain.layers.conv_transpose import conv_transpose
from cnntrain.layers.unflatten import unflatten
from cnntrain.layers.upsample import upsample
from cnntrain.model.find_layers import _out_first

Planned = Callable[..., Plan]


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"stride": 2, "padding": "same"}, {"stride": (2, 3), "padding": 1, "groups": 2}],
)
def test_a_transposed_convolution_by_its_formula(parameters: dict[str, Any]) -> None:
    layer = conv_transpose(in_channels=4, out=6, kernel=3, **parameters).double()
    x = drawn(1, 4, 3, 4)
    weight, bias = layer.weight.detach(), layer.bias
    assert bias is not None
    pad, (down, right) = layer.padding[0], layer.stride
    expected = bias.detach().view(1, -1, 1, 1).expand(layer(x).shape).clone()
    per_group = 6 // layer.groups
    for c, o, i, j, p, q in np.ndindex(4, per_group, 3, 4, 3, 3):
        row, column = i * down + p - int(pad), j * right + q - int(pad)
        if 0 <= row < expected.shape[2] and 0 <= column < expected.shape[3]:
            place = c // (4 // layer.groups) * per_group + o
            expected[0, place, row, column] += weight[c, o, p, q] * x[0, c, i, j]
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "extra"),
    [(9, 3, 1, 1, 0), (9, 3, 2, 1, 0), (10, 3, 2, 1, 1), (28, 5, 2, 0, 1), (7, 4, 3, 2, 1)],
)
def test_it_takes_a_gradient_back_through_conv(
    size: int, kernel: int, stride: int, padding: int, extra: int
) -> None:
    forward = conv(in_channels=2, out=3, kernel=kernel, stride=stride, padding=padding, bias=False)
    back = conv_transpose(
        in_channels=3,
        out=2,
        kernel=kernel,
        stride=stride,
        padding=padding,
        output_padding=extra,
        bias=False,
    )
    back.weight.data = forward.weight.data
    image = torch.randn(2, 2, size, size).requires_grad_()
    maps = forward(image)
    gradient = torch.randn_like(maps)
    maps.backward(gradient)
    assert image.grad is not None
    torch.testing.assert_close(back(gradient), image.grad)


@pytest.mark.parametrize(("kernel", "stride"), [(1, 2), (3, 1), (3, 3), (5, 2)])
def test_same_is_exactly_input_times_stride(kernel: int, stride: int) -> None:
    layer = conv_transpose(in_channels=1, out=1, kernel=kernel, stride=stride, padding="same")
    assert layer(torch.zeros(1, 1, 5, 4)).shape[2:] == (5 * stride, 4 * stride)


def test_an_image_shifted_around_its_borders_shifts_the_maps() -> None:
    # L05: y(shift x) = shift y, exactly, with the border of the opposite side; not with zeros.
    image = torch.rand(1, 2, 7, 8)
    for padding, is_equal in (("circular", True), ("same", False)):
        layer = conv(in_channels=2, out=3, kernel=5, padding=padding)  # type: ignore[arg-type]
        shifted = layer(image.roll((3, -2), (2, 3)))
        expected = layer(image).roll((3, -2), (2, 3))
        assert torch.allclose(shifted, expected, atol=1e-6) is is_equal


def test_nearest_repeats_and_bilinear_weights_by_distance() -> None:
    row = torch.tensor([0.0, 4.0, 8.0]).view(1, 1, 1, 3)
    repeated = upsample(in_shape=(1, 1, 3), factor=(1, 2))
    assert repeated(row).flatten().tolist() == [0, 0, 4, 4, 8, 8]
    # Pixel i of 6 lies at (i + 1/2) / 2 - 1/2 = -1/4, 1/4, 3/4, ...: 4 times that, cut at the ends.
    between = upsample(in_shape=(1, 1, 3), size=(1, 6), mode="bilinear")
    assert between(row).flatten().tolist() == [0, 1, 3, 5, 7, 8]
    assert upsample(in_shape=(1, 1, 3))(row).shape == (1, 1, 2, 6)


def test_unflatten_undoes_flatten() -> None:
    maps = torch.rand(2, 3, 4, 5)
    assert torch.equal(unflatten(in_features=60, shape=(3, 4, 5))(maps.flatten(1)), maps)


def test_fans_of_a_transposed_convolution() -> None:
    # One output pixel is reached by in / groups x window / stride^2 inputs at most; the fan counts
    # the weights that meet in a unit with stride 1.
    layer = conv_transpose(in_channels=8, out=6, kernel=3, groups=2)
    assert fans_of(layer) == (4 * 9, 3 * 9)


@pytest.mark.parametrize(
    ("layers", "line", "message"),
    [
        ("flatten, {conv_transpose: {out: 2}}", 1, "reads maps"),
        ("{conv_transpose: {out: 3, groups: 2}}", 1, "groups 2 does not divide the 4 input|3 out"),
        ("{conv_transpose: {out: 2, kernel: 2, padding: same}}", 1, "needs an odd kernel"),
        ("{conv_transpose: {out: 2, stride: 2, output_padding: 2}}", 1, "less than the stride 2"),
        ("{conv_transpose: {out: 2, padding: same, output_padding: 0}}", 1, "sets output_padding"),
        ("{conv: {out: 2, kernel: 4, padding: circular}}", 1, "'circular' needs an odd kernel"),
        ("flatten, upsample", 1, r"reads maps \(C, H, W\)"),
        ("{upsample: {factor: 2, size: 9}}", 1, "contradict each other"),
        ("flatten, {unflatten: {shape: [2, 3, 4]}}", 1, "are 24 numbers, but it reads 144"),
        ("{unflatten: {shape: [4, 36]}}", 1, "reads a flat vector"),
    ],
)
def test_what_does_not_fit_is_said_at_its_line(
    planned: Planned, layers: str, line: int, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        planned(f"layers: [{layers}]", shape=(4, 6, 6), classes=3)
    assert f"net.yaml:{line}:" in str(caught.value)


@pytest.mark.parametrize("groups", [1, 2])
def test_kernels_of_a_transposed_convolution_are_shown_by_output(groups: int) -> None:
    layer = conv_transpose(in_channels=4, out=6, groups=groups, bias=False)
    shown = _out_first(layer.weight.detach(), layer)
    image = torch.zeros(1, 4, 1, 1)
    image[0, 3] = 1  # one pixel of the last map: each output map is its kernel of that map
    expected = shown[-6 // groups :, -1]
    assert torch.equal(layer(image)[0, -6 // groups :].detach(), expected)


def test_counts_of_a_decoder(planned: Planned) -> None:
    plan = planned(
        "layers: [{conv_transpose: {out: 3, kernel: 2, stride: 2}}, upsample, flatten,"
        " {linear: {out: $num_classes}}]",
        shape=(5, 4, 4),
        classes=7,
    )
    first, larger, *_ = plan.body.nodes
    assert (first.out_shape, larger.out_shape) == ((3, 8, 8), (3, 16, 16))
    assert first.parameters == 5 * 3 * 2 * 2 + 3
    # Each of 5 x 4 x 4 inputs is multiplied with 3 x 2 x 2 weights.
    assert (first.multiply_adds, larger.multiply_adds) == (5 * 16 * 12, 0)
    assert first.receptive_field is None  # its units do not all see equally many inputs
    images = torch.rand(2, 5, 4, 4)
    net = build(plan)
    by_hand = functional.interpolate(net.get_submodule("conv_transpose1")(images), scale_factor=2)
    torch.testing.assert_close(net(images), net.get_submodule("linear1")(by_hand.flatten(1)))
