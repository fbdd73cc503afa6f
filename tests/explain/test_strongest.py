"""The strongest answers against a sort of all answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from cnntrain.data.batch import Loader
from cnntrain.explain.strongest import strongest


def test_maps(batches: Callable[..., Loader]) -> None:
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Tanh())
    images = torch.randn(11, 2, 6, 7)
    found = strongest(net, batches(images, size=4), layer="0", most=5)
    answers = net[0](images).detach()
    assert found.seen == 11
    for unit in range(3):
        each = answers[:, unit].flatten(1).max(dim=1).values
        values, order = each.sort(descending=True)
        torch.testing.assert_close(found.values[unit], values[:5])
        assert found.images[unit].tolist() == order[:5].tolist()
        for image, row, column, value in zip(
            found.images[unit], found.rows[unit], found.columns[unit], found.values[unit],
            strict=True,
        ):  # fmt: skip
            torch.testing.assert_close(answers[image, unit, row, column], value)
    first = found.answers(1)[0]
    assert float(answers[first.image, 1, first.row, first.column]) == pytest.approx(first.value)


def test_flat_layers_and_fewer_images_than_asked_for(batches: Callable[..., Loader]) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]]))
    images = torch.tensor([0.5, 2.0, 1.0]).view(3, 1, 1, 1).expand(3, 1, 2, 2)
    found = strongest(net, batches(images, size=2), layer="1", most=9)
    assert found.images.tolist() == [[1, 2, 0], [0, 2, 1]]
    assert found.rows.tolist() == found.columns.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert found.alive() == [0]
