"""Stochastic depth and DropConnect: what is dropped, how often, and what stays in the mean."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import stochastic_depth

from cnntrain.layers.dropconnect import DropConnect
from cnntrain.layers.stochastic_depth import StochasticDepth


def image(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("per", "mode"), [("image", "row"), ("batch", "batch")])
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_stochastic_depth_gives_what_torchvisions_does(per: Any, mode: str, p: float) -> None:
    layer, x = StochasticDepth(in_shape=(3, 4, 5), p=p, per=per), image(8, 3, 4, 5)
    for seed in range(5):
        torch.manual_seed(seed)
        y = layer(x)
        torch.manual_seed(seed)
        assert torch.equal(y, stochastic_depth(x, p, mode, training=True))


@pytest.mark.parametrize("shape", [(3, 2, 2), (5,)])
def test_whole_images_are_dropped_and_the_mean_stays(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    y = StochasticDepth(in_shape=shape, p=0.3, per="image")(torch.ones(20_000, *shape)).flatten(1)
    assert torch.equal(y.amin(dim=1), y.amax(dim=1))
    # The standard deviation of the fraction is sqrt(0.21 / 20,000) = 0.003.
    assert (y[:, 0] == 0).float().mean().item() == pytest.approx(0.3, abs=0.013)
    torch.testing.assert_close(y.max(), torch.tensor(1 / 0.7))


def test_a_batch_is_dropped_together() -> None:
    torch.manual_seed(0)
    layer, x = StochasticDepth(in_shape=(4,), p=0.25), torch.ones(6, 4)
    outputs = [layer(x) for _ in range(1000)]
    assert all(len(y.unique()) == 1 for y in outputs)
    # The standard deviation of the fraction is sqrt(0.1875 / 1000) = 0.014.
    dropped = sum(bool((y == 0).all()) for y in outputs)
    assert dropped / 1000 == pytest.approx(0.25, abs=0.055)


@pytest.mark.parametrize("per", ["image", "batch"])
def test_evaluation_keeps_the_branch(per: Any) -> None:
    x = image(3, 4)
    assert StochasticDepth(in_shape=(4,), p=0.9, per=per).eval()(x) is x


@pytest.mark.parametrize("per", ["image", "batch"])
def test_dropconnect_in_evaluation_is_a_linear_layer_of_the_same_start(per: Any) -> None:
    torch.manual_seed(0)
    plain = nn.Linear(6, 4)
    torch.manual_seed(0)
    layer = DropConnect(in_features=6, out=4, per=per).eval()
    assert all(torch.equal(v, layer.state_dict()[k]) for k, v in plain.state_dict().items())
    assert torch.equal(layer(image(3, 6)), plain(image(3, 6)))


def test_without_dropping_training_is_a_linear_layer_too() -> None:
    layer = DropConnect(in_features=6, out=4, p=0.0)
    torch.testing.assert_close(layer(image(3, 6)), layer.eval()(image(3, 6)))
    alone = DropConnect(in_features=6, out=4, p=1.0)
    assert torch.equal(alone(image(3, 6)), torch.zeros(3, 4))


@pytest.mark.parametrize("per", ["image", "batch"])
def test_weights_and_offsets_are_dropped_each_by_itself(per: Any) -> None:
    torch.manual_seed(0)
    layer = DropConnect(in_features=200, out=300, p=0.3, per=per)
    layer.weight.data, layer.bias.data = torch.ones(300, 200), torch.zeros(300)
    weights = layer(torch.eye(200))  # output i of image j is the mask of w_ij
    layer.weight.data, layer.bias.data = torch.zeros(300, 200), torch.ones(300)
    offsets = layer(torch.eye(200))
    for y in (weights, offsets):
        torch.testing.assert_close(torch.unique(y), torch.tensor([0, 1 / 0.7]))
    # 60,000 weights: a standard deviation of 0.0019; 300 offsets of a whole batch: 0.026.
    assert (weights > 0).float().mean().item() == pytest.approx(0.7, abs=0.008)
    tolerance = 0.008 if per == "image" else 0.1
    assert (offsets > 0).float().mean().item() == pytest.approx(0.7, abs=tolerance)
    assert bool((offsets == offsets[:1]).all()) == (per == "batch")


@pytest.mark.parametrize("per", ["image", "batch"])
def test_the_mean_output_is_that_of_the_mean_weights(per: Any) -> None:
    torch.manual_seed(0)
    layer, x = DropConnect(in_features=20, out=5, p=0.5, per=per), image(1, 20)
    outputs = torch.stack([layer(x) for _ in range(4000)])
    error = (outputs.mean(dim=0) - layer.eval()(x)).abs()
    assert (error < 5 * outputs.std(dim=0) / 4000**0.5).all()


def test_each_image_has_weights_of_its_own_or_the_batch_has() -> None:
    torch.manual_seed(0)
    x = image(1, 50).expand(3, -1)
    own = DropConnect(in_features=50, out=8, per="image")(x)
    shared = DropConnect(in_features=50, out=8, per="batch")(x)
    assert not torch.allclose(own[0], own[1])
    torch.testing.assert_close(shared, shared[:1].expand(3, -1))


def test_dropped_weights_get_no_gradient() -> None:
    torch.manual_seed(0)
    layer = DropConnect(in_features=30, out=20, per="batch", bias=False)
    y = layer(torch.eye(30))
    y.sum().backward()
    assert layer.weight.grad is not None
    assert torch.equal(layer.weight.grad == 0, y.detach().T == 0)
