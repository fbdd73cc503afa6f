"""layer_norm, pointwise, gelu, layer_scale against torch's modules with the channels last."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from cnntrain.layers.gelu import Gelu
from cnntrain.layers.layer_norm import LayerNorm
from cnntrain.layers.layer_scale import LayerScale
from cnntrain.layers.pointwise import Pointwise
from cnntrain.optim.groups import parameter_groups

SHAPE = (5, 4, 3)


def images(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def channels_last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).contiguous()


def test_layer_norm_is_that_of_each_pixel() -> None:
    x = images(2, *SHAPE)
    layer, theirs = LayerNorm(in_shape=SHAPE), nn.LayerNorm(5, eps=1e-6)
    for parameter, other in zip(layer.parameters(), theirs.parameters(), strict=True):
        parameter.data = other.data = images(5)
    assert torch.equal(channels_last(layer(x)), theirs(channels_last(x)))


def test_layer_norm_makes_mean_0_and_variance_1_over_the_channels() -> None:
    y = LayerNorm(in_shape=SHAPE)(images(2, *SHAPE) * 7 + 3)
    torch.testing.assert_close(y.mean(dim=1), torch.zeros(2, 4, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.var(dim=1, unbiased=False), torch.ones(2, 4, 3))
    flat = LayerNorm(in_shape=(5,), epsilon=1e-3)
    assert torch.equal(flat(images(2, 5)), nn.LayerNorm(5, eps=1e-3)(images(2, 5)))


def test_pointwise_is_a_1x1_convolution_and_starts_as_a_linear_layer() -> None:
    torch.manual_seed(0)
    layer = Pointwise(in_shape=SHAPE, out=7)
    torch.manual_seed(0)
    plain = nn.Linear(5, 7)
    x = images(2, *SHAPE)
    assert torch.equal(channels_last(layer(x)), plain(channels_last(x)))
    expected = nn.functional.conv2d(x, layer.weight[:, :, None, None], layer.bias)
    torch.testing.assert_close(layer(x), expected)
    with pytest.raises(ValueError, match="pointwise reads maps"):
        Pointwise(in_shape=(5,), out=7)


@pytest.mark.parametrize("shape", [SHAPE, (5,)])
def test_gelu_is_x_times_the_normal_distribution_function(shape: tuple[int, ...]) -> None:
    x = images(2, *shape)
    expected = x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    torch.testing.assert_close(Gelu(in_shape=shape)(x), expected)


def test_layer_scale_starts_near_0_and_does_not_decay() -> None:
    layer, x = LayerScale(in_shape=SHAPE), images(2, *SHAPE)
    assert torch.equal(layer(x), x * torch.tensor(1e-6))
    layer.scale.data = images(5, 1, 1)
    assert torch.equal(layer(x)[:, 2], x[:, 2] * layer.scale[2, 0, 0])
    net = nn.Sequential(layer, LayerNorm(in_shape=SHAPE), Pointwise(in_shape=SHAPE, out=7))
    groups = parameter_groups(net, weight_decay=0.1)
    decayed = [name for group in groups for name, _ in group["params"] if group["weight_decay"]]
    assert decayed == ["2.weight"]
