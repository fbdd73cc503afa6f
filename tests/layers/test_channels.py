"""Slices, shuffles and dense connections of channels, against torchvision's modules and indices."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.shufflenetv2 import channel_shuffle as torchvisions

from cnntrain.layers.channels import ChannelSlice, channel_shuffle
from cnntrain.layers.dense_connection import DenseConnection


def image(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def nest(module: nn.Module, *, out_shape: tuple[int, ...]) -> nn.Module:
    """A nested list of layers as the planner hands it over."""
    object.__setattr__(module, "out_shape", out_shape)
    return module


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_a_shuffle_is_torchvisions(groups: int, layout: torch.memory_format) -> None:
    x = image(2, 6, 4, 5).to(memory_format=layout)
    shuffled = channel_shuffle(in_shape=(6, 4, 5), groups=groups)(x)
    assert torch.equal(shuffled, torchvisions(x.contiguous(), groups))


def test_where_a_shuffle_puts_each_channel() -> None:
    # Zhang et al. 2018, figure 1: channel i of group g becomes channel i * groups + g
    x = torch.arange(6.0).reshape(1, 6, 1, 1)
    assert channel_shuffle(in_shape=(6, 1, 1), groups=3)(x).flatten().tolist() == [0, 2, 4, 1, 3, 5]


def test_slices_are_pythons_and_the_halves_are_torchs_chunks() -> None:
    x = image(2, 6, 4, 5)
    lower, upper = (ChannelSlice(in_shape=(6, 4, 5), **s)(x) for s in ({"stop": 3}, {"start": 3}))
    assert all(torch.equal(a, b) for a, b in zip((lower, upper), x.chunk(2, dim=1), strict=True))
    assert torch.equal(ChannelSlice(in_shape=(6,), start=1, stop=4)(x[:, :, 0, 0]), x[:, 1:4, 0, 0])


@pytest.mark.parametrize(("start", "stop"), [(0, 7), (6, None), (3, 3), (4, 2)])
def test_slices_without_channels(start: int, stop: int | None) -> None:
    message = f"start {start} and stop {stop or 6} choose no channels of the 6 .* <= 6$"
    with pytest.raises(ValueError, match=message):
        ChannelSlice(in_shape=(6, 4, 4), start=start, stop=stop)


def test_what_a_shuffle_refuses() -> None:
    with pytest.raises(ValueError, match="groups 4 does not divide the 6 channels"):
        channel_shuffle(in_shape=(6, 4, 4), groups=4)
    with pytest.raises(ValueError, match="channel_shuffle reads maps"):
        channel_shuffle(in_shape=(6,), groups=2)


def test_a_dense_connection_keeps_its_input_in_front() -> None:
    # Huang et al. 2017, equation 2
    body = nest(nn.Conv2d(4, 3, 3, padding=1), out_shape=(3, 6, 6))
    layer = DenseConnection(in_shape=(4, 6, 6), body=body)
    x = image(2, 4, 6, 6)
    assert torch.equal(layer(x), torch.cat([x, body(x)], dim=1))
    assert all(name.startswith("body.") for name in layer.state_dict())


def test_a_dense_connection_needs_maps_of_one_size() -> None:
    body = nest(nn.Conv2d(4, 3, 3), out_shape=(3, 4, 4))
    message = r"the input \(4, 6, 6\), the body \(3, 4, 4\); give them equal strides and padding"
    with pytest.raises(ValueError, match=message):
        DenseConnection(in_shape=(4, 6, 6), body=body)
