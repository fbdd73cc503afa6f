"""Residual connections and their shortcuts, against He et al. 2015."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cnntrain.layers.residual import Residual
from cnntrain.layers.zero_pad_shortcut import ZeroPadShortcut


def nest(*modules: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """A nested list of layers as the planner hands it over."""
    net = nn.Sequential(*modules).eval()
    with torch.no_grad():
        out = tuple(net(torch.zeros(1, *shape)).shape[1:])
    for name, value in (("in_shape", shape), ("out_shape", out)):
        object.__setattr__(net, name, value)
    return net


def image(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_the_shortcut_of_an_unchanged_shape_is_the_identity() -> None:
    body = nest(nn.Conv2d(4, 4, 3, padding=1), shape=(4, 6, 6))
    layer = Residual(in_shape=(4, 6, 6), body=body)
    x = image(2, 4, 6, 6)
    assert torch.equal(layer(x), body(x) + x)
    assert all(name.startswith("body.") for name in layer.state_dict())


def test_flat_inputs_have_an_identity_too() -> None:
    body = nest(nn.Linear(5, 5), shape=(5,))
    x = image(2, 5)
    assert torch.equal(Residual(in_shape=(5,), body=body)(x), body(x) + x)


@pytest.mark.parametrize("size", [6, 7])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (1, 2), (3, 2)])
def test_a_changed_shape_gets_a_projection(size: int, stride: tuple[int, int]) -> None:
    body = nest(nn.Conv2d(4, 8, 3, stride=stride, padding=1), shape=(4, size, size))
    layer = Residual(in_shape=(4, size, size), body=body).eval()
    names = {n.removeprefix("shortcut.") for n in layer.state_dict() if n.startswith("shortcut.")}
    assert {"conv1.weight", "batch_norm1.weight", "batch_norm1.running_mean"} <= names
    assert "conv1.bias" not in names
    x = image(2, 4, size, size)
    weight = layer.get_parameter("shortcut.conv1.weight")
    # In evaluation a fresh batch norm only divides by sqrt(1 + epsilon).
    projected = functional.conv2d(x, weight, stride=stride) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(layer(x), body(x) + projected)


def test_without_a_projection_a_changed_shape_has_no_shortcut() -> None:
    # Sandler et al. 2018, figure 4d: the block of stride 2 has none
    x = image(2, 4, 6, 6)
    for channels, stride, has_shortcut in ((4, 1, True), (4, 2, False), (8, 1, False)):
        body = nest(nn.Conv2d(4, channels, 3, stride=stride, padding=1), shape=(4, 6, 6))
        layer = Residual(in_shape=(4, 6, 6), body=body, project=False)
        assert torch.equal(layer(x), body(x) + x if has_shortcut else body(x))
    with pytest.raises(ValueError, match=r"`project: false` is about .*; remove one of the two"):
        Residual(in_shape=(4, 6, 6), body=body, shortcut=body, project=False)


def test_a_given_shortcut_is_used() -> None:
    body = nest(nn.Conv2d(4, 8, 3, stride=2, padding=1), shape=(4, 6, 6))
    other = nest(ZeroPadShortcut(in_shape=(4, 6, 6), out=8, stride=2), shape=(4, 6, 6))
    layer = Residual(in_shape=(4, 6, 6), body=body, shortcut=other)
    x = image(2, 4, 6, 6)
    assert torch.equal(layer(x), body(x) + other(x))


def test_what_residual_refuses() -> None:
    shape = (4, 6, 6)
    same = nest(nn.Identity(), shape=shape)
    strided = nest(nn.Conv2d(4, 8, 3, stride=2, padding=1), shape=shape)
    message = r"the body gives \(8, 3, 3\) and the shortcut \(4, 6, 6\); make them equal, or leave"
    with pytest.raises(ValueError, match=message):
        Residual(in_shape=shape, body=strided, shortcut=same)
    valid = nest(nn.Conv2d(4, 8, 3), shape=shape)
    message = (
        r"no stride of a 1x1 convolution leads from \(4, 6, 6\) to the body's \(8, 4, 4\); give"
    )
    with pytest.raises(ValueError, match=message):
        Residual(in_shape=shape, body=valid)
    larger = nest(nn.Conv2d(4, 8, 1, padding=1), shape=shape)
    with pytest.raises(ValueError, match="no stride of a 1x1 convolution"):
        Residual(in_shape=shape, body=larger)
    flat = nest(nn.Flatten(), shape=shape)
    with pytest.raises(
        ValueError, match=r"the body turns \(4, 6, 6\) into \(144,\), and only maps"
    ):
        Residual(in_shape=shape, body=flat)


def test_zero_padding_is_option_a_of_the_cifar_nets() -> None:
    x, planes = image(2, 16, 7, 6), 32
    expected = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, planes // 4, planes // 4))
    layer = ZeroPadShortcut(in_shape=(16, 7, 6), out=planes, stride=2)
    assert torch.equal(layer(x), expected)
    assert not layer.state_dict()
    assert layer.stride == (2, 2)


def test_an_odd_zero_map_comes_last() -> None:
    x = torch.ones(1, 2, 1, 1)
    layer = ZeroPadShortcut(in_shape=(2, 1, 1), out=5)
    assert layer(x).flatten().tolist() == [0, 1, 1, 0, 0]


def test_what_zero_padding_refuses() -> None:
    with pytest.raises(ValueError, match="out 8 is less than the 16 input maps"):
        ZeroPadShortcut(in_shape=(16, 4, 4), out=8)
    with pytest.raises(ValueError, match="zero_pad_shortcut reads maps"):
        ZeroPadShortcut(in_shape=(16,), out=32)
