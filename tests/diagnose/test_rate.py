"""`rate`: on a problem whose largest stable rate is known, and on networks at wrong rates."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose.rate import check_rate, range_test
from cnntrain.diagnose.report import Report
from cnntrain.train import MeanSquaredError

Make = Callable[..., Any]


def faults(report: Report) -> list[str]:
    return [finding.fault for finding in report.findings]


def quadratic() -> tuple[nn.Module, list[Batch], float, float]:
    """Linear regression by gradient descent, which diverges above 2 / the largest curvature.

    The last two are that rate, and the least loss.
    """
    images = torch.randn(64, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(64) % 2
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    nn.init.zeros_(net[1].weight)
    rows = images.flatten(1)
    curvature = torch.linalg.eigvalsh(rows.T @ rows / len(rows))[-1]
    wanted = nn.functional.one_hot(targets, 2).float()
    rest = wanted - rows @ torch.linalg.lstsq(rows, wanted).solution
    least = 0.5 * float(rest.square().sum(dim=1).mean())
    return net, [Batch(images, targets)], 2 / float(curvature), least


def test_the_edge_of_a_quadratic_is_where_the_formula_says(method: Make) -> None:
    net, batches, limit, least = quadratic()
    how = method(lr=limit / 1.5, momentum=0.0, criterion=MeanSquaredError())
    report = check_rate(net, batches=batches, method=how, classes=2, steps=200)
    ends = {row[0]: row[1] for row in report.tables[0].rows}
    # the rates are limit / 1.5 times powers of two: the first above the limit diverges, or at
    # least does not come down, the first below converges
    assert math.isclose(ends[limit / 1.5], least, rel_tol=1e-4)
    assert ends[2 * limit / 1.5] == "diverges" or ends[2 * limit / 1.5] > 1
    tested = range_test(net, batches, method=how, steps=200)
    assert limit / 3 < tested.edge < 30 * limit  # it needs some steps above the limit to explode


@pytest.mark.parametrize(
    ("lr", "expected"), [(0.05, []), (5.0, ["rate_too_high"]), (1e-5, ["rate_too_low"])]
)
def test_a_rate_a_hundred_times_wrong(
    convnet: Make, method: Make, batches: list[Batch], lr: float, expected: list[str]
) -> None:
    net = convnet()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.get_rng_state()
    report = check_rate(net, batches=batches, method=method(lr=lr), classes=4, steps=60)
    assert faults(report) == expected
    suggested = report.numbers["suggested"]
    assert isinstance(suggested, float)
    assert 0.004 < suggested < 1.0
    if expected:
        times = max(lr / suggested, suggested / lr)
        assert f"about {float(f'{times:.1g}'):.0f} times" in report.headline
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


def test_the_table_has_the_runs_own_rate(convnet: Make, method: Make, batches: list[Batch]) -> None:
    report = check_rate(convnet(), batches=batches, method=method(lr=0.03), classes=4, steps=30)
    rates = [row[0] for row in report.tables[0].rows]
    assert rates == sorted(rates, reverse=True)
    assert [row[2] for row in report.tables[0].rows if row[0] == 0.03] == ["yours"]
    assert all(math.log2(rate / 0.03).is_integer() for rate in rates)


def test_a_network_that_nothing_helps_accuses_no_rate(
    convnet: Make, method: Make, batches: list[Batch]
) -> None:
    net = convnet()
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    report = check_rate(net, batches=batches, method=method(), classes=4, steps=20)
    assert faults(report) == []
    assert "no rate" in report.headline


def test_equal_runs_give_equal_reports(convnet: Make, method: Make, batches: list[Batch]) -> None:
    net = convnet(act2=nn.Sequential(nn.ReLU(), nn.Dropout(0.5)))
    first, second = (
        check_rate(net, batches=batches, method=method(), classes=4, steps=20) for _ in range(2)
    )
    assert first.tables == second.tables
