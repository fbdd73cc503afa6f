"""`arithmetic`: what needs one gradient, or the weights themselves, to be reckoned."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from cnntrain.core.remark import Remark
from cnntrain.data.batch import Batch
from cnntrain.diagnose.checks.arithmetic import check_arithmetic
from cnntrain.diagnose.report import Report
from cnntrain.optim import parameter_groups
from cnntrain.optim.optimizers.adam import adam
from cnntrain.train.briefly import Method

Make = Callable[..., Any]

SHARES = (1.0,) * 100
"""At lr 0.05 and momentum 0.9 a way of 0.05 / 0.1 * 100 = 50 times the gradient."""


@pytest.fixture
def net(convnet: Make) -> nn.Module:
    made: nn.Module = convnet()
    return made


def check(net: nn.Module, batches: list[Batch], held: Method, *remarks: Remark) -> Report:
    bare = replace(held, recipe=replace(held.recipe, l1=0.0))
    return check_arithmetic(
        net=net, batches=batches, method=held, bare=bare, reckoned=remarks, shares=SHARES
    )


def length(net: nn.Module) -> float:
    return math.sqrt(sum(float(p.detach().square().sum()) for p in net.parameters() if p.ndim > 1))


def test_the_gradient_is_that_of_the_first_batches(
    net: nn.Module, batches: list[Batch], method: Make
) -> None:
    norms = []
    net.train()
    for batch in batches[:2]:
        net.zero_grad()
        functional.cross_entropy(net(batch.images), batch.targets).backward()
        norms.append(torch.cat([p.grad.flatten() for p in net.parameters()]).norm())  # type: ignore[union-attr]
    report = check(net, batches, method())
    assert report.numbers["gradient_norm"] == pytest.approx(sum(map(float, norms)) / 2, rel=1e-5)
    assert report.verdict == "fine"


@pytest.mark.parametrize(("share", "verdict"), [(0.05, "fault"), (0.2, "suspect"), (0.5, "fine")])
def test_a_clip_that_leaves_no_way(
    net: nn.Module, batches: list[Batch], method: Make, share: float, verdict: str
) -> None:
    report = check(net, batches, method(clip_norm=share * length(net) / 50))
    assert report.verdict == verdict
    for found in report.findings:
        assert found.fault == "clipped_to_nothing"
        assert f"by {share:.1%} at most" in found.headline
        norm = float(report.numbers["gradient_norm"] or 0)
        assert found.overrides == (f"train.clip_norm={3 * norm:.2g}",)


def test_adam_divides_by_the_size_of_the_gradient(
    net: nn.Module, batches: list[Batch], method: Make
) -> None:
    held = replace(
        method(clip_norm=1e-6, l1=1.0),
        make_optimizer=lambda net: adam(groups=parameter_groups(net)),
    )
    assert check(net, batches, held).verdict == "fine"


@pytest.mark.parametrize(("steps", "verdict"), [(10, "fault"), (60, "suspect"), (200, "fine")])
def test_a_penalty_that_takes_the_weights_away(
    net: nn.Module, batches: list[Batch], method: Make, steps: int, verdict: str
) -> None:
    weights = torch.cat([p.detach().abs().flatten() for p in net.parameters() if p.ndim > 1])
    report = check(net, batches, method(l1=float(weights.mean()) / (0.5 * steps)))
    assert report.verdict == verdict
    for found in report.findings:
        assert found.fault == "too_much_l1"
        assert f"in {steps} steps" in found.headline
        assert found.overrides[0].startswith("train.l1=")


def test_remarks_on_the_run_file_are_findings(
    net: nn.Module, batches: list[Batch], method: Make
) -> None:
    remark = Remark("few_steps", "few", "numbers", "more", is_certain=False)
    (found,) = check(net, batches, method(), remark).findings
    assert (found.fault, found.verdict) == ("few_steps", "suspect")
