"""The search of a learning rate on a problem whose largest stable rate is known."""

from __future__ import annotations

import math

import torch
from torch import nn

from cnntrain.data.batch import Batch
from cnntrain.optim import parameter_groups
from cnntrain.optim.optimizers.sgd import sgd
from cnntrain.tasks.losses.mse import mse
from cnntrain.train import Recipe
from cnntrain.train.briefly import Method
from cnntrain.train.rate_search import (
    guessing,
    halved,
    middle,
    progress_again,
    try_rates,
)


def test_rates_on_a_quadratic() -> None:
    """Gradient descent on `(w x - y)^2 / 2` diverges above 2 / curvature, is best at 1 / curvature.

    With images of one value, 3, the curvature is 9 for each of the two outputs.
    """
    images, targets = torch.full((8, 1, 1, 1), 3.0), torch.tensor([0, 1] * 4)
    net = nn.Sequential(nn.Flatten(), nn.Linear(1, 2, bias=False))
    nn.init.constant_(net[1].weight, 5.0)
    method = Method(
        lambda copied: sgd(groups=parameter_groups(copied), momentum=0.0),
        mse(),
        Recipe(epochs=1, lr=0.001, schedule=lambda _: 1.0),
    )

    def chance(batches: list[Batch]) -> float:
        assert len(batches) == 10  # the last quarter of the steps
        return 100.0

    batches = [Batch(images, targets)]
    tried = try_rates(net, batches, method=method, own=0.001, chance=chance, steps=40)  # type: ignore[arg-type]
    assert max(tried.learning) < 2 / 9
    assert min(tried.ends) <= 0.001 <= max(tried.ends)
    assert 1 / 9 / 4 < middle(tried.good) < 2 / 9
    assert max(tried.progress.values()) == 1
    again = progress_again(tried, net, batches, method=method, steps=40)
    assert math.isclose(again, tried.progress[0.001] / tried.progress[middle(tried.good)])
    assert net[1].weight[0].item() == 5.0  # copies were trained
    # squared error of the classes' shares, one half each: (0.25 + 0.25) / 2
    assert guessing([Batch(images, targets)], method=method, classes=2) == 0.25


def test_a_rate_near_the_edge_that_does_well_by_chance_does_not_end_the_search() -> None:
    """Below 0.2, a lucky one, the loss falls again down to 2^-7 of it; then it rises."""
    ends = {0.2: 0.66, 0.1: 1.17, 0.05: 1.07}

    def attempt(rate: float) -> float:
        return ends.get(rate, 1.4 if rate > 0.2 else abs(math.log2(rate / 0.2) + 7) / 7)

    found = halved(attempt, own=0.4, edge=0.3, chance=1.39, enough=1.3)
    assert min(found, key=lambda rate: found[rate]) == 0.2 / 2**7
    assert min(found) == 0.2 / 2**9
