"""Layers of one line: absolute value, gain, maxout."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from cnntrain.layers.abs import Absolute
from cnntrain.layers.gain import Gain
from cnntrain.layers.maxout import Maxout


def image(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_the_absolute_value_has_slope_minus_one_zero_and_one() -> None:
    x = torch.tensor([-2.0, 0.0, 3.0], requires_grad=True)
    y = Absolute()(x)
    y.sum().backward()
    assert y.tolist() == [2, 0, 3]
    assert x.grad is not None
    assert x.grad.tolist() == [-1, 0, 1]


def test_a_filter_bank_of_jarrett_is_gain_times_tanh_of_a_convolution() -> None:
    # y_j = g_j tanh(sum_i k_ij * x_i), section 2.1; R_abs follows.
    conv, gain = nn.Conv2d(3, 4, 5), Gain(in_shape=(4, 8, 8))
    assert torch.equal(gain.weight, torch.ones(4))
    gain.weight.data = torch.tensor([1.0, -2.0, 0.5, 3.0])
    x = image(2, 3, 12, 12)
    y = nn.Sequential(conv, nn.Tanh(), gain, Absolute())(x)
    for j in range(4):
        expected = (gain.weight[j] * conv(x)[:, j].tanh()).abs()
        torch.testing.assert_close(y[:, j], expected)


def test_gain_has_one_factor_for_each_value_of_a_flat_input() -> None:
    layer = Gain(in_shape=(3,))
    layer.weight.data = torch.tensor([1.0, 2.0, 3.0])
    assert layer(torch.ones(1, 3)).tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("shape", [(2, 6, 4, 5), (2, 6)])
@pytest.mark.parametrize("pieces", [1, 2, 3, 6])
def test_maxout_is_the_largest_of_neighbouring_maps(shape: tuple[int, ...], pieces: int) -> None:
    x = image(*shape)
    y = Maxout(in_channels=6, pieces=pieces)(x)
    assert y.shape[1] == 6 // pieces
    for c in range(6 // pieces):
        group = [x[:, c * pieces + j] for j in range(pieces)]
        assert torch.equal(y[:, c], torch.stack(group).max(dim=0).values)


def test_two_linear_pieces_make_a_rectifier_or_an_absolute_value() -> None:
    # Figure 1 of the paper: max(0, x) and max(-x, x) are maxout units.
    x = torch.linspace(-2, 2, 9)[:, None]
    linear = nn.Linear(1, 4, bias=False)
    linear.weight.data = torch.tensor([[0.0], [1.0], [-1.0], [1.0]])
    y = Maxout(in_channels=4)(linear(x))
    assert torch.equal(y, torch.cat([x.relu(), x.abs()], dim=1))


def test_maxout_refuses_pieces_that_do_not_divide_the_channels() -> None:
    message = "maxout: pieces 4 does not divide the 6 channels; give the layer above a multiple"
    with pytest.raises(ValueError, match=message):
        Maxout(in_channels=6, pieces=4)
