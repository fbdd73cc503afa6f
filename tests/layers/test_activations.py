"""Activations against the usual table of functions and derivatives, written out by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cnntrain.layers import activations
from cnntrain.layers.identity import identity

X = torch.linspace(-8, 8, 82, dtype=torch.float64)  # 0, 3 and 6 are not in it
Function = Callable[[Tensor], Tensor]


def logistic(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def step(x: Tensor, slope: float) -> Tensor:
    return torch.where(x > 0, torch.ones_like(x), torch.full_like(x, slope))


TABLE: list[tuple[nn.Module, Function, Function]] = [
    (identity(), lambda x: x, torch.ones_like),
    (activations.sigmoid(), logistic, lambda x: logistic(x) * (1 - logistic(x))),
    (
        activations.tanh(),
        lambda x: 2 / (1 + torch.exp(-2 * x)) - 1,
        lambda x: 1 - (2 / (1 + torch.exp(-2 * x)) - 1) ** 2,
    ),
    (activations.relu(), lambda x: x * step(x, 0), lambda x: step(x, 0)),
    (
        activations.relu6(),
        lambda x: x.clamp(0, 6),
        lambda x: step(x, 0) * step(6 - x, 0),
    ),
    (
        activations.silu(),
        lambda x: x * logistic(x),
        lambda x: logistic(x) + x * logistic(x) * (1 - logistic(x)),
    ),
    (
        activations.hard_swish(),
        lambda x: x * (x / 6 + 0.5).clamp(0, 1),
        lambda x: step(x - 3, 0) + (x.abs() < 3) * (x / 3 + 0.5),
    ),
    (
        activations.hard_sigmoid(),
        lambda x: (x / 6 + 0.5).clamp(0, 1),
        lambda x: (x.abs() < 3).to(x) / 6,
    ),
    (activations.leaky_relu(), lambda x: x * step(x, 0.01), lambda x: step(x, 0.01)),
    (activations.prelu(in_shape=(1,)), lambda x: x * step(x, 0.25), lambda x: step(x, 0.25)),
    (
        activations.elu(alpha=0.7),
        lambda x: torch.where(x > 0, x, 0.7 * (torch.exp(x) - 1)),
        lambda x: torch.where(x > 0, 1.0, 0.7 * (torch.exp(x) - 1) + 0.7),
    ),
    (activations.softplus(), lambda x: torch.log(1 + torch.exp(x)), logistic),
    (
        activations.softplus(beta=3.0),
        lambda x: torch.log(1 + torch.exp(3 * x)) / 3,
        lambda x: logistic(3 * x),
    ),
]


@pytest.mark.parametrize(("layer", "function", "derivative"), TABLE, ids=lambda v: type(v).__name__)
def test_values_and_derivatives(layer: nn.Module, function: Function, derivative: Function) -> None:
    x = X.clone().requires_grad_()
    y = layer.double()(x)
    y.sum().backward()
    torch.testing.assert_close(y.detach(), function(X))
    torch.testing.assert_close(x.grad, derivative(X))


def test_the_logistic_slope_is_at_most_a_quarter() -> None:
    x = torch.zeros(1, requires_grad=True)
    activations.sigmoid()(x).backward()
    assert x.grad is not None
    assert x.grad.item() == 0.25


def test_prelu_has_a_slope_for_each_channel_or_one() -> None:
    assert activations.prelu(in_shape=(5, 4, 4)).weight.shape == (5,)
    assert activations.prelu(in_shape=(5, 4, 4), per_channel=False).weight.shape == (1,)
    layer = activations.prelu(in_shape=(2, 1, 1), initial=0.0)
    layer.weight.data = torch.tensor([0.5, 2.0])
    assert layer(-torch.ones(1, 2, 1, 1)).flatten().tolist() == [-0.5, -2.0]


def test_softmax_runs_over_the_channels() -> None:
    x = torch.randn(2, 5, 3, 3, generator=torch.Generator().manual_seed(0))
    expected = x.exp() / x.exp().sum(dim=1, keepdim=True)
    torch.testing.assert_close(activations.softmax()(x), expected)
