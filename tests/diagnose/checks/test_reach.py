"""What a last layer with a range leaves of what is to be learnt, by formulas of normal numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose.checks.initial import check_initial
from cnntrain.diagnose.diagnose import examine
from cnntrain.tasks.losses.mae import mae
from cnntrain.tasks.losses.mse import mse


def ends(*last: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3), *last)


def numbers(count: int = 256) -> Tensor:
    """Normal numbers, mean 0 and deviation 1."""
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(1))


def judged(net: nn.Module, targets: Tensor, criterion: Any = None) -> list[Any]:
    images = torch.randn(len(targets), 1, 8, 8, generator=torch.Generator().manual_seed(0))
    report = check_initial(
        net=net, batch=Batch(images, targets), criterion=criterion or mse(), classes=3, loss="mse"
    )
    return [found for found in report.findings if found.fault == "out_of_reach"]


@pytest.mark.parametrize(
    ("last", "share", "left"),
    [
        # half of normal numbers are below 0, and E[x^2; x < 0] = 1/2
        (nn.ReLU(), 0.5, 0.5),
        # 1/2 + P(x > 1) = 0.659; 1/2 + E[(x - 1)^2; x > 1] = 0.575
        (nn.Sigmoid(), 0.659, 0.575),
    ],
)
def test_ranges_that_miss_half_of_the_numbers(last: nn.Module, share: float, left: float) -> None:
    (found,) = judged(ends(last), numbers(2000))
    assert found.verdict == "fault"
    name = type(last).__name__
    assert found.headline.startswith(f"the network ends in '2' ({name}), whose outputs are ")
    said = float(found.headline.split(": ")[1].split("%")[0]) / 100
    assert said == pytest.approx(share, abs=0.03)
    assert float(found.evidence.split("leave ")[1].split("%")[0]) / 100 == pytest.approx(
        left, abs=0.03
    )


def test_a_tanh_for_normal_numbers_is_a_suspicion() -> None:
    """E[(|x| - 1)^2; |x| > 1] = 0.151"""
    (found,) = judged(ends(nn.Tanh()), numbers())
    assert found.verdict == "suspect"


@pytest.mark.parametrize("criterion", [mse(), mae()])
def test_what_is_behind_the_range_only_in_shape_does_not_hide_it(criterion: Any) -> None:
    net = ends(nn.Sigmoid(), nn.Unflatten(1, (3, 1)), nn.Flatten())
    assert len(judged(net, numbers(), criterion)) == 1


@pytest.mark.parametrize(
    ("net", "targets"),
    [
        (ends(), numbers()),
        (ends(nn.Sigmoid()), numbers().sigmoid()),  # numbers from 0 to 1
        (ends(nn.Sigmoid()), (numbers() > 0).float()),  # and the ends themselves
        (ends(nn.ReLU()), numbers().abs()),
        (ends(nn.LeakyReLU(0.1)), numbers()),
        (ends(nn.Sigmoid(), nn.Linear(3, 3)), numbers()),
        (ends(nn.Sigmoid()), torch.arange(256) % 3),  # of squared errors of classes
    ],
)
def test_what_can_be_reached_is_fine(net: nn.Module, targets: Tensor) -> None:
    assert judged(net, targets) == []


def test_the_remedy_is_to_end_without_it(numbers_file: Callable[..., Path]) -> None:
    file = numbers_file()
    layers = [*yaml.safe_load(file.read_text())["arch"]["layers"], "sigmoid"]
    (found,) = examine(file, checks=["initial"], overrides={"arch.layers": layers}).findings
    assert found.fault == "out_of_reach"
    assert examine(file, checks=["initial"], overrides=found.overrides).findings == ()
