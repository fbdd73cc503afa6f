"""Group normalisation against Wu and He's equations, torch's function, and its two limits."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from cnntrain.layers.group_norm import group_norm


@pytest.mark.parametrize("shape", [(6, 5, 4), (6,)])
@pytest.mark.parametrize("groups", [1, 2, 3])
def test_each_group_of_each_image_has_mean_0_and_variance_1(
    shape: tuple[int, ...], groups: int
) -> None:
    x = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0)) * 4 + 2
    layer = group_norm(in_shape=shape, groups=groups, epsilon=0.01)
    layer.weight.data, layer.bias.data = torch.arange(1.0, 7), torch.arange(6.0)
    y = layer(x)
    torch.testing.assert_close(
        y, functional.group_norm(x, groups, layer.weight, layer.bias, eps=0.01)
    )
    size = 6 // groups
    for n in range(3):
        for c in range(6):
            group = x[n, c // size * size : c // size * size + size]
            normal = (x[n, c] - group.mean()) / (group.var(correction=0) + 0.01).sqrt()
            torch.testing.assert_close(y[n, c], layer.weight[c] * normal + layer.bias[c])


def test_one_group_is_layer_norm_and_one_per_map_instance_norm() -> None:
    x = torch.randn(2, 6, 5, 4, generator=torch.Generator().manual_seed(0))
    one, each = (group_norm(in_shape=(6, 5, 4), groups=g, affine=False) for g in (1, 6))
    torch.testing.assert_close(one(x), functional.layer_norm(x, (6, 5, 4)))
    torch.testing.assert_close(each(x), functional.instance_norm(x))


def test_the_batch_does_not_matter_and_training_is_like_evaluation() -> None:
    x = torch.randn(4, 32, 3, 3, generator=torch.Generator().manual_seed(0))
    layer = group_norm(in_shape=(32, 3, 3), groups=8)
    torch.testing.assert_close(layer(x)[:1], layer.eval()(x[:1]))


def test_what_it_refuses() -> None:
    message = "groups 32 does not divide the 12 channels; choose from 1, 2, 3, 4, 6, 12"
    with pytest.raises(ValueError, match=message):
        group_norm(in_shape=(12, 3, 3))
    with pytest.raises(ValueError, match="every value is its own mean; use fewer groups"):
        group_norm(in_shape=(32,))
