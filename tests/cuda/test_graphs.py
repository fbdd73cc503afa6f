"""Each optimizer and each loss in a step that is captured as a graph, on a pretended GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cnntrain.core.choices import CHOICES, OPTIMIZERS
from cnntrain.core.target_forms import fits
from cnntrain.data.batch import Batch
from cnntrain.optim import parameter_groups, set_learning_rate
from cnntrain.tasks.criterion import MeanLoss
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.train import Learner, Recipe
from cnntrain.train.graphed import WARM_UP, GraphedSteps

LOSSES = CHOICES["losses"]
GIVEN = {"focal": {"gamma": 2.0}}


def weights_of(device: torch.device) -> Callable[[object], Tensor]:
    weights = torch.tensor([1.0, 2.0, 3.0]).pin_memory().to(device)
    return lambda _: weights


def take_four(
    net: nn.Module,
    optimizer: Any,
    criterion: Any,
    gpu: Any,
    *,
    has_numbers: bool = False,
    **recipe: Any,
) -> None:
    """The last one is captured and launched; nothing in it may be on the host."""
    learner = Learner(net, optimizer)
    take = GraphedSteps(learner)
    batch = Batch(
        torch.empty(4, 3, 6, 6, device=gpu.device),
        torch.zeros(4, 3, device=gpu.device)
        if has_numbers
        else torch.zeros(4, dtype=torch.int64, device=gpu.device),
    )
    how = Recipe(epochs=1, lr=0.1, cuda_graphs=True, **recipe)
    with gpu.watching():
        for step in range(WARM_UP + 1):
            set_learning_rate(optimizer, 0.1 / (step + 1))
            take(learner, batch, criterion=criterion, recipe=how, images=4)


@pytest.fixture
def net(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    with torch.device("meta"):
        made = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 3))
    made.to_empty(device=gpu.device)
    monkeypatch.setattr(Tensor, "backward", gpu.learning(made))
    return made


@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_every_optimizer(
    net: nn.Module, gpu: Any, noted: list[Any], name: str, clip: float | None
) -> None:
    optimizer = OPTIMIZERS.load(name)(groups=parameter_groups(net, weight_decay=0.1))
    take_four(net, optimizer, CrossEntropy(), gpu, clip_norm=clip, l1=1e-4)
    assert [graph.replays for graph in noted] == [1]


OF_ONE = [each.name for each in LOSSES.entries() if "several" not in fits(each)]
"""The others are sums of these."""


@pytest.mark.parametrize("name", OF_ONE)
def test_every_loss(net: nn.Module, gpu: Any, noted: list[Any], name: str) -> None:
    entry = LOSSES.entry(name)
    given = {"weigh": weights_of(gpu.device)} if "weigh" in entry.filled else {}
    made = LOSSES.load(name)(**given)
    criterion = made if hasattr(made, "weight") else MeanLoss(made)
    optimizer = OPTIMIZERS.load("sgd")(groups=parameter_groups(net))
    has_numbers = not {"classes", "distances"} & {*fits(entry)}
    take_four(net, optimizer, criterion, gpu, has_numbers=has_numbers, on_divergence="skip")
    assert [graph.replays for graph in noted] == [1]


def test_a_rate_that_is_copied_from_the_host_is_found(
    net: nn.Module, gpu: Any, noted: list[Any]
) -> None:
    """What these tests look for: here a learning rate in a tensor of the CPU."""
    optimizer = OPTIMIZERS.load("lion")(groups=parameter_groups(net))
    for group in optimizer.param_groups:
        group["lr"] = torch.zeros(())
    with pytest.raises(gpu.WaitError, match=r"mul is given \[\(\)\] of the host"):
        take_four(net, optimizer, CrossEntropy(), gpu)
    gpu.captures = gpu.strict = False
