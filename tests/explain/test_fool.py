"""Fooling a linear network, whose gradients are its weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cnntrain.explain.fool import STEPS, SURE, fast_gradient_sign, grey_noise, sure_noise
from cnntrain.show.pixels import Scaling

SCALING = Scaling((0.4,), (0.2,))


def linear(weights: torch.Tensor) -> nn.Sequential:
    layer = nn.Linear(weights.shape[1], len(weights))
    with torch.no_grad():
        layer.weight.copy_(weights)
        layer.bias.zero_()
    return nn.Sequential(nn.Flatten(), layer)


@pytest.mark.parametrize("target", [None, 1])
def test_the_smallest_step_against_the_weights(target: int | None) -> None:
    """With two classes, of scores 0 and w x, the loss falls along w alone."""
    weights = torch.randn(16)
    net = linear(torch.stack([torch.zeros(16), weights]))
    pixels = 0.5 - 0.02 * weights.sign().view(1, 1, 4, 4) + 0.01 * torch.randn(1, 1, 4, 4)
    assert int(net(SCALING.redo(pixels)).argmax()) == 0
    found = fast_gradient_sign(net, SCALING.redo(pixels), scaling=SCALING, target=target)
    assert found.succeeded
    for step in STEPS:
        moved = pixels + step * weights.sign().view(1, 1, 4, 4)
        if int(net(SCALING.redo(moved)).argmax()) == 1:
            break
    assert found.epsilon == step
    torch.testing.assert_close(found.changed, moved)
    change = 255 * (found.changed - found.pixels)
    torch.testing.assert_close(change.abs(), torch.full_like(change, 255 * step))
    torch.testing.assert_close(found.after, net(SCALING.redo(moved)).softmax(dim=1)[0])


def test_pixels_stay_pixels_and_failure_is_told() -> None:
    net = linear(torch.stack([torch.full((4,), 1.0), torch.full((4,), 0.99)]))
    image = SCALING.redo(torch.full((1, 1, 2, 2), 0.9))
    found = fast_gradient_sign(net, image, scaling=Scaling((0.0,), (1.0,)))
    assert not found.succeeded
    assert found.epsilon == STEPS[-1]
    assert 0 <= float(found.changed.min()) <= float(found.changed.max()) <= 1


def test_a_step_ends_at_black_and_white() -> None:
    """Along the weights, which point beyond the ends of both pixels, of a class never reached."""
    net = linear(torch.tensor([[0.0, 0.0], [0.01, -0.01]]))
    with torch.no_grad():
        net[1].bias[0] = 9.0
    pixels = torch.tensor([0.9, 0.2]).view(1, 1, 1, 2)
    found = fast_gradient_sign(net, SCALING.redo(pixels), scaling=SCALING, target=1)
    assert (found.succeeded, found.epsilon) == (False, STEPS[-1])
    assert 0.9 + STEPS[-1] > 1
    assert 0.2 - STEPS[-1] < 0
    torch.testing.assert_close(found.changed.flatten(), torch.tensor([1.0, 0.0]))


def test_noise_of_which_it_is_sure() -> None:
    net = linear(torch.randn(3, 48))
    scaling = Scaling((0.5,) * 3, (0.25,) * 3)
    noise = grey_noise((3, 4, 4), seed=0)
    found = sure_noise(net, noise, scaling=scaling, target=2)
    assert torch.equal(found.pixels, noise)
    assert found.succeeded
    assert float(found.after[2]) >= SURE > float(found.before[2])
    assert 0 <= float(found.changed.min()) <= float(found.changed.max()) <= 1
    assert found.epsilon == pytest.approx(float((found.changed - found.pixels).abs().max()))
    again = sure_noise(net, grey_noise((3, 4, 4), seed=0), scaling=scaling, target=2)
    assert torch.equal(again.changed, found.changed)
