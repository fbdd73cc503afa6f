"""Dropout: what is zeroed, how often, and how the rest is scaled."""

from __future__ import annotations

import pytest
import torch

from cnntrain.layers.dropout import dropout, dropout2d


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_a_fraction_p_is_zeroed_and_the_mean_stays(p: float) -> None:
    torch.manual_seed(0)
    y = dropout(p=p)(torch.ones(400, 1000))
    scaled = torch.tensor(1 / (1 - p))
    assert torch.equal(y.unique(), torch.stack([torch.tensor(0.0), scaled]))
    # 400,000 draws: the standard deviation of the fraction is below 0.0008.
    assert (y == 0).float().mean().item() == pytest.approx(p, abs=0.004)
    assert y.mean().item() == pytest.approx(1, abs=0.01)


def test_channel_dropout_zeroes_whole_maps() -> None:
    torch.manual_seed(0)
    y = dropout2d(in_shape=(50, 3, 3), p=0.3)(torch.ones(400, 50, 3, 3))
    per_map = y.flatten(2)
    assert torch.equal(per_map.amin(2), per_map.amax(2))
    assert (per_map[:, :, 0] == 0).float().mean().item() == pytest.approx(0.3, abs=0.02)


def test_evaluation_changes_nothing_and_dropped_values_get_no_gradient() -> None:
    torch.manual_seed(0)
    x = torch.ones(100, requires_grad=True)
    layer = dropout()
    assert torch.equal(layer.eval()(x), x)
    y = layer.train()(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, y.detach())


def test_channel_dropout_refuses_flat_inputs() -> None:
    with pytest.raises(ValueError, match="dropout2d reads maps"):
        dropout2d(in_shape=(10,))
