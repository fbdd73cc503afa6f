"""`rate`: on a problem whose largest stable rate is known, and on networks at wrong rates."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose.checks import rate
from cnntrain.diagnose.checks.rate import check_rate
from cnntrain.diagnose.report import Report
from cnntrain.tasks.losses.mse import mse
from cnntrain.train.rate_search import RangeTest, TriedRates, range_test

Make = Callable[..., Any]


def faults(report: Report) -> list[str]:
    return [finding.fault for finding in report.findings]


def quadratic() -> tuple[nn.Module, list[Batch], float, float]:
    """Linear regression by gradient descent, which diverges above 2 / the largest curvature.

    The last two are that rate, and the least loss.
    """
    images = torch.randn(64, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    images[:, 0, 1, 1] = 1.0  # a bias
    targets = (images[:, 0, 0, 0] > 0).long()
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
    how = method(lr=limit / 1.5, momentum=0.0, criterion=mse())
    report = check_rate(net=net, batches=batches, bare=how, classes=2, steps=200)
    ends = {row[0]: row[1] for row in report.tables[0].rows}
    # the rates are limit / 1.5 times powers of two: the first above the limit diverges, or at
    # least does not come down, the first below converges
    assert math.isclose(ends[limit / 1.5], least, rel_tol=1e-4)
    assert ends[2 * limit / 1.5] == "diverges" or ends[2 * limit / 1.5] > 1
    tested = range_test(net, batches, method=how, steps=200)
    assert limit / 3 < tested.edge < 30 * limit  # it needs some steps above the limit to explode


def test_a_network_that_gives_no_numbers_has_no_rate(
    convnet: Make, method: Make, batches: list[Batch]
) -> None:
    """The first loss is not a number, at any rate."""

    class Nothing(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x / (x - x)

    net = convnet(act1=Nothing())
    report = check_rate(net=net, batches=batches, bare=method(), classes=4, steps=20)
    assert report.headline.startswith("no verdict on your learning rate")
    assert report.pictures[0].png()


@pytest.mark.parametrize(
    ("lr", "expected"), [(0.05, []), (5.0, ["rate_too_high"]), (1e-5, ["rate_too_low"])]
)
def test_a_rate_a_hundred_times_wrong(
    convnet: Make, method: Make, batches: list[Batch], lr: float, expected: list[str]
) -> None:
    net = convnet()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.get_rng_state()
    report = check_rate(net=net, batches=batches, bare=method(lr=lr), classes=4, steps=60)
    assert faults(report) == expected
    suggested = report.numbers["suggested"]
    assert isinstance(suggested, float)
    assert 0.004 < suggested < 1.0
    if expected:
        assert " times too " in report.headline
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("times", "said", "verdict"), [(1.5, "2 times", "suspect"), (30.0, "30 times", "fault")]
)
def test_a_rate_just_above_the_largest_one_is_suspected(
    method: Make, times: float, said: str, verdict: str
) -> None:
    """Halved until it is below the limit: 1.5 / 2 of it, and 30 / 32."""
    net, batches, limit, _ = quadratic()
    how = method(lr=times * limit, momentum=0.0, criterion=mse())
    report = check_rate(net=net, batches=batches, bare=how, classes=2, steps=200)
    assert faults(report) == ["rate_too_high"]
    assert f"about {said} too high" in report.headline
    assert report.verdict == verdict


@pytest.mark.parametrize(("again", "expected"), [(0.2, ["rate_too_high"]), (0.6, [])])
def test_a_rate_at_the_edge_is_tried_once_more(
    convnet: Make,
    method: Make,
    batches: list[Batch],
    monkeypatch: pytest.MonkeyPatch,
    again: float,
    expected: list[str],
) -> None:
    """It makes 0.2 of the progress of a quarter of it: 0.2 of (1.4 - 0.4)."""
    ends = {2.0: math.inf, 1.0: 1.2, 0.5: 0.8, 0.25: 0.4, 0.125: 0.6}
    tried = TriedRates(ends, 1.0, 1.4, RangeTest((1.0,), (1.4,), 1.0, 1.0))
    monkeypatch.setattr(rate, "try_rates", lambda *_, **__: tried)
    monkeypatch.setattr(rate, "progress_again", lambda *_, **__: again)
    report = check_rate(net=convnet(), batches=batches, bare=method(lr=1.0), classes=4, steps=4)
    assert faults(report) == expected


def test_the_table_has_the_runs_own_rate(convnet: Make, method: Make, batches: list[Batch]) -> None:
    report = check_rate(net=convnet(), batches=batches, bare=method(lr=0.03), classes=4, steps=30)
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
    report = check_rate(net=net, batches=batches, bare=method(), classes=4, steps=20)
    assert faults(report) == []
    assert report.verdict == "not applicable"
    assert report.headline.startswith("no verdict on your learning rate: in 20 steps no rate")
    assert report.numbers["suggested"] is None


def test_where_many_rates_are_as_good_ones_own_stays(method: Make) -> None:
    """Where the last layer is normalised, and every image is clear, any step will do."""
    images = torch.eye(4).repeat(4, 1).reshape(16, 1, 2, 2)
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.BatchNorm1d(4))
    batches = [Batch(images, torch.arange(16) % 4)]
    report = check_rate(net=net, batches=batches, bare=method(lr=0.5), classes=4, steps=40)
    rates = [row[0] for row in report.tables[0].rows]
    assert len(rates) > 5
    assert report.numbers["suggested"] == 0.5
    assert report.headline.startswith("yours is a good rate: 0.5 makes ")


@pytest.mark.parametrize(("run", "expected"), [(200, ["rate_too_low"]), (20_000, [])])
def test_a_slow_rate_is_too_low_if_the_run_is_short(
    convnet: Make, method: Make, batches: list[Batch], run: int, expected: list[str]
) -> None:
    how = method(lr=5e-4, momentum=0.9)
    report = check_rate(
        net=convnet(), batches=batches, bare=how, classes=4, steps=60, shares=[1.0] * run
    )
    ends = {row[2]: row[1] for row in report.tables[0].rows}
    made = (math.log(4) - ends["yours"]) / (math.log(4) - min(r[1] for r in report.tables[0].rows
                                                               if r[1] != "diverges"))  # fmt: skip
    assert 0.1 < made < 0.3  # in 60 steps; in 200 less than all of it, in 20,000 much more
    assert faults(report) == expected


@pytest.mark.parametrize(
    ("lr", "momentum", "fault", "changed"),
    [
        (5.0, 0.9, "rate_too_high", ["lr"]),
        (0.1, 0.999, "momentum_too_long", ["momentum"]),
        (20.0, 0.999, "rate_too_high", ["momentum", "lr"]),
    ],
)
def test_steps_that_momentum_makes_too_long_are_mended_by_a_usual_one(
    lr: float,
    momentum: float,
    fault: str,
    changed: list[str],
    convnet: Make,
    method: Make,
    batches: list[Batch],
) -> None:
    """A rate of 0.1 is a good one here with a momentum of 0.9."""
    how = method(lr=lr, momentum=momentum)
    report = check_rate(net=convnet(), batches=batches, bare=how, classes=4, steps=60)
    (found,) = report.findings
    values = dict(each.removeprefix("train.optimizer.").split("=") for each in found.overrides)
    assert (found.fault, list(values)) == (fault, changed)
    assert float(values.get("momentum", 0.9)) == 0.9
    assert 0.004 < float(values.get("lr", lr)) < 1.0


SHARES = {
    "a hundredth in each epoch": ([0.01**epoch for epoch in range(10) for _ in range(20)], True),
    "half in each epoch": ([0.5**epoch for epoch in range(10) for _ in range(20)], None),
    "one long epoch, then nothing": ([1.0] * 100 + [1e-3] * 900, False),
    "cosine": ([0.5 * (1 + math.cos(math.pi * step / 200)) for step in range(200)], None),
    "one epoch at the full rate": ([1.0] * 20, None),
}


@pytest.mark.parametrize("name", SHARES)
def test_a_schedule_that_takes_the_rate_away(
    convnet: Make, method: Make, batches: list[Batch], name: str
) -> None:
    """20.2 of 200 steps at the full rate are fewer than a trial; 40 are not 8 times fewer."""
    shares, is_certain = SHARES[name]
    how = method(lr=0.05)
    how = replace(how, recipe=replace(how.recipe, epochs=10 if len(shares) > 20 else 1))
    report = check_rate(
        net=convnet(), batches=batches, bare=how, classes=4, steps=30, shares=shares
    )
    assert faults(report) == ([] if is_certain is None else ["rate_falls_early"])
    assert all(finding.is_certain == is_certain for finding in report.findings)


def test_equal_runs_give_equal_reports(convnet: Make, method: Make, batches: list[Batch]) -> None:
    net = convnet(act2=nn.Sequential(nn.ReLU(), nn.Dropout(0.5)))
    first, second = (
        check_rate(net=net, batches=batches, bare=method(), classes=4, steps=20) for _ in range(2)
    )
    assert first.tables == second.tables
