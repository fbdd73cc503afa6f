"""Shipped architectures are plain torch: traced, compiled, saved, drawn again from a seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import fx

from cnntrain.arch.build import build
from cnntrain.arch.network import Network
from cnntrain.arch.plan import Plan
from cnntrain.arch.table import rows
from cnntrain.arch.table_text import as_text

FOLDER = Path(__file__).parents[2] / "configs" / "archs"
ARCHS = [
    FOLDER / f"{name}.yaml"
    for name in (
        *("bn_after_relu", "digits", "dropconnect", "inception_reduced", "lab_stack", "lcn_net"),
        *("lenet1", "lenet300", "lenet5", "lenet5_1998", "locally_connected", "maxout"),
        *("multi_scale", "neocognitron", "resnet20", "starter"),
    )
]
"""Each layer and each form of graph; the other architectures are longer or wider of the same."""

Shipped = Callable[[Path], Plan]

every_arch = pytest.mark.parametrize("file", ARCHS, ids=lambda file: file.stem)


def drawn(plan: Plan, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return build(plan)


@every_arch
def test_it_is_traced_and_compiled(file: Path, shipped: Shipped) -> None:
    plan = shipped(file)
    net = drawn(plan).eval()
    x = torch.randn(2, *plan.body.in_shape)
    with torch.no_grad():
        expected = net(x)
        torch.testing.assert_close(fx.symbolic_trace(net)(x), expected, rtol=0, atol=0)
        torch.compiler.reset()  # it counts the networks that went through the same `forward`
        whole = torch.compile(net, fullgraph=True, backend="eager")
        torch.testing.assert_close(whole(x), expected, rtol=0, atol=0)


@every_arch
def test_the_seed_decides_the_weights(file: Path, shipped: Shipped) -> None:
    plan = shipped(file)
    one, same, other = (drawn(plan, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@every_arch
def test_its_state_goes_into_another_one(file: Path, shipped: Shipped) -> None:
    plan = shipped(file)
    one, other = drawn(plan, 0).eval(), drawn(plan, 1).eval()
    other.load_state_dict(one.state_dict(), strict=True)
    x = torch.randn(2, *plan.body.in_shape)
    with torch.no_grad():
        assert torch.equal(one(x), other(x))


@every_arch
def test_training_reaches_every_parameter(file: Path, shipped: Shipped) -> None:
    plan = shipped(file)
    net = drawn(plan).train()
    output = net(torch.randn(2, *plan.body.in_shape))
    logits, heads = output if isinstance(output, tuple) else (output, ())
    torch.stack([each.square().sum() for each in (logits, *heads)]).sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@every_arch
def test_its_table_adds_up(file: Path, shipped: Shipped) -> None:
    plan = shipped(file)
    text, leaves = as_text(plan), [row for row in rows(plan) if row.is_leaf]
    [total] = [line for line in text.splitlines() if line.startswith("total")]
    assert f" {plan.parameters:,} " in total
    assert f" {plan.multiply_adds:,} " in f"{total} "
    assert sum(row.parameters for row in leaves) == plan.parameters
    assert sum(row.parameter_share for row in leaves) == pytest.approx(1)
