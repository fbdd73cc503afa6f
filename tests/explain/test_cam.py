"""Class activation maps against the papers' formulas."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnntrain.explain.cam import class_activation, grad_cam


class Pool(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))


NET = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), Pool(), nn.Linear(6, 4))
CLASSES = [3, 0, 1]


def test_the_mean_of_a_cam_and_the_bias_are_the_score() -> None:
    """Zhou et al. 2016, equations 1 and 2."""
    images = torch.randn(3, 1, 8, 9)
    found = class_activation(NET, images, classes=CLASSES, pool="2", linear="3")
    assert found.shape == (3, 6, 7)
    scores = NET(images)[range(3), CLASSES]
    bias = NET[3].bias[CLASSES]
    torch.testing.assert_close(found.mean(dim=(1, 2)) + bias, scores)
    maps = NET[1](NET[0](images))
    for number, target in enumerate(CLASSES):
        by_hand = sum(NET[3].weight[target, k] * maps[number, k] for k in range(6))
        torch.testing.assert_close(found[number], by_hand)


def test_grad_cam_of_such_a_network_is_the_positive_part_of_its_cam() -> None:
    """Selvaraju et al. 2017, section 3.1: up to the number of places, over which it is a mean."""
    images = torch.randn(3, 1, 8, 9)
    plain = class_activation(NET, images, classes=CLASSES, pool="2", linear="3")
    found = grad_cam(NET, images, classes=CLASSES, layer="1")
    torch.testing.assert_close(found, plain.relu() / (6 * 7))
