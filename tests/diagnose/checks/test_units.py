"""Layers whose units are dead, alike or saturated by construction; formulas stated here."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose.checks.units import check_units, units_of


def images(count: int = 64) -> list[Batch]:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(count, 2, 5, 5, generator=generator)
    return [Batch(half, torch.zeros(len(half), dtype=torch.int64)) for half in values.chunk(2)]


def joined() -> Batch:
    """The same images in one batch."""
    first, second = images()
    return Batch(
        torch.cat([first.images, second.images]), torch.cat([first.targets, second.targets])
    )


def conv(maps: int) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(2, maps, 3)


def test_shares_of_dead_and_alike_units() -> None:
    layer = conv(8)
    with torch.no_grad():
        layer.bias[:3] = -100.0  # never above 0
        layer.weight[7], layer.bias[7] = 2 * layer.weight[6], 5.0  # r = 1
    net = nn.Sequential(layer, nn.ReLU())
    first, second = units_of(net, images())
    assert (first.layer, first.count, first.dead) == ("0", 8, None)
    assert first.alike == pytest.approx(1 / 8)
    assert second.dead == pytest.approx(3 / 8)
    assert second.still == pytest.approx(3 / 8)


def test_correlation_is_that_of_numpy() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(50, 6))
    batches = images()
    with torch.no_grad():
        outputs = torch.cat([net(batch.images) for batch in batches])
    r = torch.from_numpy(np.corrcoef(outputs.double().numpy().T)).abs()
    expected = float((r.sum() - 6) / 30)
    assert units_of(net, batches)[0].correlation == pytest.approx(expected, abs=1e-6)


def test_sparsity_of_treves_and_rolls() -> None:
    """One unit of four fires, always the same one: 1 over the units, 0 over the images."""
    layer = nn.Linear(50, 4)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
    (found,) = units_of(nn.Sequential(nn.Flatten(), layer), images())
    assert found.unit_sparsity == pytest.approx(1.0)
    assert found.still == 1.0


def test_the_findings_of_a_trained_network() -> None:
    dead = conv(4)
    with torch.no_grad():
        dead.bias[:3] = -100.0
    net = nn.Sequential(dead, nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)).train()
    report = check_units(trained=net, batch=joined(), is_trained=True)
    assert [finding.fault for finding in report.findings] == ["dead_units"]
    assert "75% of the 4 units of '1'" in report.headline
    assert net[1].training
    initial = check_units(trained=net, batch=joined(), is_trained=False)
    assert initial.verdict == "not applicable"
    assert "initial" in initial.headline
    assert "75% of the units of '0'" not in initial.headline
    assert "75% of the units of '1'" in initial.headline


def test_saturation() -> None:
    steep = nn.Linear(50, 4)
    with torch.no_grad():
        steep.weight.mul_(1e4)
    net = nn.Sequential(nn.Flatten(), steep, nn.Tanh(), nn.Linear(4, 3))
    report = check_units(trained=net, batch=joined(), is_trained=True)
    assert [finding.fault for finding in report.findings] == ["saturated_units"]
