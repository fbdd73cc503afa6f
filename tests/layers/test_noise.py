"""Noise: its moments in training, none in evaluation, and the gradient that passes."""

from __future__ import annotations

import pytest
import torch

from cnntrain.layers.noise import GaussianNoise, MaskingNoise


def test_gaussian_noise_has_its_standard_deviation() -> None:
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 400_000)
    noise = GaussianNoise(std=0.3)(x) - x
    # The standard error of the mean is 0.3 / sqrt(n) = 0.0005, that of the deviation 0.00034.
    assert noise.mean().item() == pytest.approx(0, abs=0.002)
    assert noise.std().item() == pytest.approx(0.3, abs=0.0015)
    assert torch.corrcoef(torch.stack([noise, x]))[0, 1].abs() < 0.01


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_masking_noise_zeroes_a_share_and_leaves_the_rest(p: float) -> None:
    torch.manual_seed(0)
    x = torch.rand(400_000) + 1
    y = MaskingNoise(p=p)(x)
    # 400,000 draws: the standard deviation of the share is below 0.0008.
    assert (y == 0).float().mean().item() == pytest.approx(p, abs=0.004)
    assert torch.equal(y[y != 0], x[y != 0])  # dropout would scale them


@pytest.mark.parametrize("layer", [GaussianNoise(), MaskingNoise()])
def test_each_step_draws_again_and_evaluation_nothing(layer: torch.nn.Module) -> None:
    torch.manual_seed(0)
    x = torch.rand(1000)
    first, second = layer(x), layer(x)
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    torch.rand(1000)
    assert torch.equal(layer(x), first)  # torch's own random state, which a checkpoint holds
    assert torch.equal(layer.eval()(x), x)


def test_the_gradient_passes_where_the_value_did() -> None:
    torch.manual_seed(0)
    x = torch.ones(1000, requires_grad=True)
    y = MaskingNoise(p=0.5)(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, y.detach())
