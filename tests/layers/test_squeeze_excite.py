"""Squeeze and excitation against Hu et al.'s equations and torchvision's module."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torchvision.ops import SqueezeExcitation

from cnntrain.layers.squeeze_excite import SqueezeExcite


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_torchvisions_weights_fit_and_give_the_same_bit_for_bit(
    layout: torch.memory_format,
) -> None:
    torch.manual_seed(0)
    oracle = SqueezeExcitation(32, 2)
    layer = SqueezeExcite(in_shape=(32, 7, 7))
    layer.load_state_dict(oracle.state_dict(), strict=True)
    x = torch.randn(4, 32, 7, 7).to(memory_format=layout)
    assert torch.equal(layer(x), oracle(x))


@pytest.mark.parametrize(
    ("activation", "gate", "theirs"),
    [
        ("relu", "hard_sigmoid", {"scale_activation": nn.Hardsigmoid}),  # MobileNet V3's
        ("silu", "sigmoid", {"activation": nn.SiLU}),  # EfficientNet's
    ],
)
def test_other_functions_are_torchvisions(activation: Any, gate: Any, theirs: Any) -> None:
    torch.manual_seed(0)
    oracle = SqueezeExcitation(12, 5, **theirs)
    layer = SqueezeExcite(in_shape=(12, 7, 7), squeeze=5, activation=activation, gate=gate)
    layer.load_state_dict(oracle.state_dict(), strict=True)
    x = 20 * torch.randn(4, 12, 7, 7)
    assert torch.equal(layer(x), oracle(x))


def test_each_map_is_multiplied_by_a_gate_from_all_means() -> None:
    torch.manual_seed(0)
    layer = SqueezeExcite(in_shape=(6, 5, 4), reduction=3, bias=False)
    x = torch.randn(2, 6, 5, 4)
    first, second = (each.weight.flatten(1) for each in (layer.fc1, layer.fc2))
    assert first.shape == (2, 6)
    for n in range(2):
        z = torch.stack([x[n, c].mean() for c in range(6)])
        s = 1 / (1 + torch.exp(-second @ (first @ z).clamp_min(0)))
        torch.testing.assert_close(layer(x)[n], s[:, None, None] * x[n])


def test_it_adds_two_times_the_squared_channels_by_the_reduction() -> None:
    # Hu et al., section 4, equation 5: 2 C**2 / r weights without biases.
    layer = SqueezeExcite(in_shape=(256, 1, 1), bias=False)
    assert sum(p.numel() for p in layer.parameters()) == 2 * 256**2 // 16


def test_what_it_refuses() -> None:
    message = "reduction 16 leaves nothing of 8 channels; use at most 8"
    with pytest.raises(ValueError, match=message):
        SqueezeExcite(in_shape=(8, 4, 4))
    with pytest.raises(ValueError, match=r"reduction 2 and squeeze 4 both say .*; remove one"):
        SqueezeExcite(in_shape=(8, 4, 4), reduction=2, squeeze=4)
    with pytest.raises(ValueError, match="squeeze_excite reads maps"):
        SqueezeExcite(in_shape=(32,))
