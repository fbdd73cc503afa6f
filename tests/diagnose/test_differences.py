"""Finite differences: where the derivative is known, where it is wrong, and where there is none."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from cnntrain.diagnose.differences import Difference, compare_derivatives

Twisted = Callable[[Tensor], Tensor]


def parameter(*values: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))


def compared(loss: object, weights: nn.Parameter, *, per_tensor: int = 4) -> list[Difference]:
    assert callable(loss)
    return list(compare_derivatives(loss, [("w", weights)], per_tensor=per_tensor))


def test_a_derivative_that_is_known() -> None:
    weights = parameter(0.3, -1.2, 2.0)
    found = compared(lambda: (weights.exp() * torch.tensor([1.0, 2.0, 3.0])).sum(), weights)
    for each in found:
        known = (each.index + 1) * math.exp(float(weights.detach()[each.index]))  # d/dw of a exp(w)
        assert math.isclose(each.backward, known)
        assert math.isclose(each.numeric, known, rel_tol=1e-6)
        assert not each.is_wrong
    assert 2 in {each.index for each in found}  # the largest derivative is always looked at


def test_the_weights_are_as_before() -> None:
    weights = parameter(0.1, 0.7, -0.3)
    before = weights.detach().clone()
    compared(lambda: weights.pow(3).sum(), weights)
    assert torch.equal(weights, before)


def test_a_wrong_sign_is_wrong_by_two(twisted: Twisted) -> None:
    weights = parameter(0.5, 1.5)
    found = compared(lambda: twisted(weights).square().sum(), weights)
    assert all(each.is_wrong for each in found)
    # g against -g: |2 g| / |g|
    assert all(math.isclose(each.error, 2.0, rel_tol=1e-6) for each in found)


def test_a_kink_is_not_held_against_the_network() -> None:
    weights = parameter(3e-6, 1.0)  # a rectifier's kink within the first step, not the smallest
    found = compared(lambda: weights.relu().sum(), weights, per_tensor=8)
    assert {each.index for each in found} == {0, 1}
    assert not any(each.is_wrong for each in found)


def test_a_loss_that_rounds_is_not_held_against_the_network() -> None:
    weights = parameter(0.5, 1.5)

    def rounded() -> Tensor:
        return weights.square().sum().float().double()  # 24 bits: differences are noise

    assert not any(each.is_wrong for each in compared(rounded, weights))


def test_a_gradient_far_below_rounding_cannot_be_judged(twisted: Twisted) -> None:
    weights = parameter(1.0, 2.0)
    found = compared(lambda: 1.0 + 1e-13 * twisted(weights).sum(), weights)
    assert not any(each.is_wrong for each in found)


def test_a_slope_of_one_narrow_place_is_found_by_small_steps() -> None:
    """As where gradients explode: seen from afar the loss is flat, on both sides."""
    weights = parameter(1.0)
    [found] = compared(lambda: (1e6 * (weights - 1)).tanh().sum(), weights, per_tensor=1)
    assert found.backward == 1e6  # d/dw tanh(a w) = a at 0
    assert found.error < 1e-3
    assert not found.is_wrong


def test_a_wrong_sign_of_a_small_derivative_is_not_lost_in_rounding(twisted: Twisted) -> None:
    weights = parameter(1.0, 2.0)
    found = compared(lambda: 1.0 + 1e-6 * twisted(weights).sum(), weights)
    assert all(each.is_wrong for each in found)
