"""`sight`: what the network itself depends on, where the plan shows nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from torch import Tensor, nn

from cnntrain.arch.plan import Plan
from cnntrain.assemble.networks import make_network, plan_network
from cnntrain.config.from_python import load_given
from cnntrain.core.remark import Remark
from cnntrain.diagnose.checks.sight import check_sight
from cnntrain.diagnose.report import Report

REST = [{"conv": {"out": 4}}, "relu", "global_max_pool", {"linear": {"out": "$num_classes"}}]


class FirstRows(nn.Module):
    """A layer of one's own that forgets the lower half."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (x.new_ones(x.shape[2:]).cumsum(0) <= x.shape[2] // 2)


def planned(layers: Sequence[Any]) -> Plan:
    data = {"name": "synthetic", "size": 16, "channels": 3}
    train = {"epochs": 1, "optimizer": {"name": "sgd", "lr": 0.1}}
    return plan_network(load_given({"arch": {"layers": layers}, "data": data, "train": train}))


def examined(layers: Sequence[Any], *sights: Remark, own: nn.Module | None = None) -> Report:
    plan = planned(layers)
    net = make_network(plan, seed=0)
    if own is not None:
        net.add_module("identity1", own)
    return check_sight(net=net, plan=plan, sights=sights)


def test_a_channel_that_is_sliced_away() -> None:
    (found,) = examined([{"channel_slice": {"start": 1}}, *REST]).findings
    assert found.headline == "no output depends on channel 0: 'channel_slice1' leaves it out"
    assert found.fault == "unseen_pixels"


def test_pixels_that_a_layer_of_ones_own_leaves_out() -> None:
    """Rows 8 to 15 of 16, whatever the plan says of the layer."""
    report = examined([*REST[:2], "identity", *REST[2:]], own=FirstRows())
    # conv1 without padding has 14 rows, of which 7 stay: they see the rows 0 to 8
    assert report.numbers["unseen_pixels"] == pytest.approx(7 / 16)
    (found,) = report.findings
    assert found.headline == "no output depends on 44% of the pixels: 'identity1' leaves it out"


def test_pixels_that_lose_against_others_count_as_seen() -> None:
    """Each of 4 units takes the largest of 196 values: in 64 images hardly all are taken."""
    report = examined(REST)
    assert report.numbers["unseen_pixels"] == 0
    assert report.verdict == "fine"
    assert report.headline.endswith("the narrowest layer has 4 values")


def test_remarks_on_the_plan_are_findings() -> None:
    remark = Remark("bottleneck", "narrow", "numbers", "widen", overrides=("arch.x=1",))
    (found,) = examined(REST, remark).findings
    assert (found.fault, found.remedy, found.overrides) == ("bottleneck", "widen", ("arch.x=1",))
