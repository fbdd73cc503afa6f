"""Memory of the activations: against what autograd saves while the whole network really runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cnntrain.arch.activation_memory import activation_bytes
from cnntrain.arch.build import build
from cnntrain.arch.plan import Plan

ARCHS = Path(__file__).parents[2] / "configs" / "archs"
Planned = Callable[..., Plan]


EXACT = [
    *("lenet5", "lenet5_1998", "alexnet", "vgg_a_bn", "googlenet", "bn_inception"),
    *("resnet20", "resnet50", "se_resnet50", "preact_resnet164", "stochastic_depth_resnet110"),
    *("convnext_tiny", "regnet_x_400mf"),
    *("jarrett", "lcn_net", "maxout", "multi_scale", "lab_stack"),
]


@pytest.mark.parametrize("name", EXACT)
def test_it_is_what_autograd_saves(
    name: str, shipped: Callable[[Path], Plan], saved_bytes: Callable[[nn.Module, Tensor], int]
) -> None:
    plan = shipped(ARCHS / f"{name}.yaml")
    images = torch.empty(3, *plan.body.in_shape, device="meta")
    net = build(plan, device="meta")
    assert activation_bytes(plan, batch=3).total() == saved_bytes(net, images)


def test_on_the_cpu_too(
    shipped: Callable[[Path], Plan], saved_bytes: Callable[[nn.Module, Tensor], int]
) -> None:
    plan = shipped(ARCHS / "resnet20.yaml")
    expected = saved_bytes(build(plan), torch.zeros(2, *plan.body.in_shape))
    assert activation_bytes(plan, batch=2).total() == expected


def test_who_keeps_what(planned: Planned) -> None:
    # 6 maps of 8x8 in float32 are 1,536 bytes. A rectifier keeps its output, which the pooling
    # reads too; the pooling keeps besides an index of 8 bytes for each of its outputs; the linear
    # layer keeps what it reads, which is the memory of the pooling; a convolution over the images
    # keeps the images, which do not count.
    text = """
layers:
  [conv: {out: 6, padding: 1}, relu, max_pool: {kernel: 2}, flatten, linear: {out: 5}]
"""
    found = activation_bytes(planned(text), batch=10)
    pooled = 6 * 4 * 4
    assert {name: size for name, size in found.items() if size} == {
        "relu1": 10 * 1536,
        "max_pool1": 10 * pooled * (8 + 4),
    }


def test_what_no_weight_needs_is_not_kept(planned: Planned) -> None:
    found = activation_bytes(planned("layers: [relu, tanh, max_pool: {kernel: 2}]"), batch=1)
    assert found.total() == 0


def test_memory_that_two_paths_share_counts_once(
    planned: Planned, saved_bytes: Callable[[nn.Module, Tensor], int]
) -> None:
    text = (
        "layers: [conv: {out: 2}, batch_norm, residual: {body: [relu]}, flatten, linear: {out: 1}]"
    )
    plan = planned(text)
    images = torch.empty(4, *plan.body.in_shape, device="meta")
    net = build(plan, device="meta")
    assert activation_bytes(plan, batch=4).total() == saved_bytes(net, images)
