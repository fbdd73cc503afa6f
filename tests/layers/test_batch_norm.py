"""Batch normalisation against Ioffe and Szegedy's algorithm 1."""

from __future__ import annotations

import pytest
import torch

from cnntrain.layers.batch_norm import batch_norm


@pytest.mark.parametrize("shape", [(3, 5, 4), (3,)])
def test_training_uses_the_batch_with_biased_variance(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(8, *shape, generator=generator) * 3 + 1
    layer = batch_norm(in_shape=shape, epsilon=0.01, momentum=0.2)
    layer.weight.data, layer.bias.data = torch.tensor([1.0, 2, 3]), torch.tensor([0.0, 1, -1])
    y = layer(x)
    assert layer.running_mean is not None
    assert layer.running_var is not None
    for c in range(3):
        values = x[:, c].flatten()
        mean = values.sum() / len(values)
        squares = (values - mean).square().sum()
        normal = (x[:, c] - mean) / (squares / len(values) + 0.01).sqrt()
        torch.testing.assert_close(y[:, c], layer.weight[c] * normal + layer.bias[c])
        # Running averages start at 0 and 1; that of the variance is unbiased.
        torch.testing.assert_close(layer.running_mean[c], 0.2 * mean)
        variance = 0.8 + 0.2 * squares / (len(values) - 1)
        torch.testing.assert_close(layer.running_var[c], variance)


def test_momentum_null_averages_all_batches() -> None:
    layer = batch_norm(in_shape=(1,), momentum=None)
    for value in (1.0, 2.0, 6.0):
        layer(torch.tensor([[value - 1], [value + 1]]))
    assert layer.running_mean is not None
    assert layer.running_mean.item() == pytest.approx(3)


def test_without_affine_nothing_is_learned() -> None:
    assert not list(batch_norm(in_shape=(4, 2, 2), affine=False).parameters())


def test_what_it_refuses() -> None:
    with pytest.raises(ValueError, match=r"its input is \(4, 3\); put a flatten above it"):
        batch_norm(in_shape=(4, 3))
