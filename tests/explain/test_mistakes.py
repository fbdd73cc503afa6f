"""The most confident errors against a sort of all."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from cnntrain.data.batch import Loader
from cnntrain.explain.mistakes import find_mistakes


def test_the_most_confident_come_first(batches: Callable[..., Loader]) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
    images, targets = torch.randn(50, 1, 4, 4), torch.arange(50) % 4
    found = find_mistakes(net, batches(images, targets, size=7))
    probabilities = net(images).softmax(dim=1).detach()
    top, predicted = probabilities.max(dim=1)
    wrong = (predicted != targets).nonzero().flatten()
    expected = wrong[top[wrong].argsort(descending=True)].tolist()
    assert found.images == 50
    assert [mistake.image for mistake in found.found] == expected
    first = found.found[0]
    assert first.true == int(targets[first.image])
    assert first.predicted == int(predicted[first.image])
    torch.testing.assert_close(first.probability, float(top[first.image]))
    own = float(probabilities[first.image, first.true])
    torch.testing.assert_close(first.true_probability, own)
