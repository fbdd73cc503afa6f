"""The machine's check, with loaders whose speed is made up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose.checks import machine
from cnntrain.diagnose.checks.machine import check_machine
from cnntrain.optim import parameter_groups
from cnntrain.optim.optimizers.sgd import sgd
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.train import Recipe
from cnntrain.train.briefly import Method


class Clock:
    """A clock that only moves when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Loader:
    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock, self.seconds = clock, seconds
        self.size, self.batches_per_epoch = 80, 10

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        for _ in range(start, self.batches_per_epoch):
            self.clock.now += self.seconds
            yield Batch(torch.randn(8, 1, 4, 4), torch.zeros(8, dtype=torch.int64))


class Slow(nn.Module):
    """A layer that takes a second for each call."""

    clock: Clock

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        CLOCK.now += 1.0
        return images


CLOCK = Clock()


@pytest.mark.parametrize(("seconds", "expected"), [(0.01, []), (10.0, ["waits_for_data"])])
def test_waiting_for_images(
    monkeypatch: pytest.MonkeyPatch, seconds: float, expected: list[str]
) -> None:
    monkeypatch.setattr(machine, "perf_counter", CLOCK)
    net = nn.Sequential(Slow(), nn.Flatten(), nn.Linear(16, 3))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    method = Method(
        lambda n: sgd(groups=parameter_groups(n), momentum=0.0),
        CrossEntropy(),
        Recipe(epochs=1, lr=0.1),
    )
    report = check_machine(
        net=net, loader=Loader(CLOCK, seconds), method=method, step_images=8, data_cure="buy a disk"
    )
    assert [finding.fault for finding in report.findings] == expected
    # four steps of a second each for 8 images; a batch of 8 is read in `seconds`
    assert report.numbers["trained_per_second"] == pytest.approx(8.0)
    assert report.numbers["read_per_second"] == pytest.approx(8 / seconds)
    waits = max(0.0, 1 - 1 / seconds)
    assert report.numbers["waiting"] == pytest.approx(waits)
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])
