"""Saliency against finite differences."""

from __future__ import annotations

import torch
from torch import nn

from cnntrain.explain.saliency import saliency


def test_it_is_the_slope_of_the_score() -> None:
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(36, 3)).double()
    images = torch.randn(2, 2, 5, 5, dtype=torch.float64)
    classes = [2, 0]
    found = saliency(net, images, classes=classes)
    step = 1e-6
    slopes = torch.zeros_like(images)
    with torch.no_grad():
        for place in [tuple(index) for index in torch.ones_like(images).nonzero().tolist()]:
            moved = images.clone()
            moved[place] += step
            above = net(moved)[place[0], classes[place[0]]]
            moved[place] -= 2 * step
            slopes[place] = (above - net(moved)[place[0], classes[place[0]]]) / (2 * step)
    torch.testing.assert_close(found, slopes.abs().amax(dim=1), rtol=1e-6, atol=1e-8)
