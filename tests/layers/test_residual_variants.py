"""The residual units of the literature, written with `residual` in YAML, against plain torch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnntrain.arch.build import build
from cnntrain.arch.network import Network
from cnntrain.arch.plan import Plan

Planned = Callable[..., Plan]
SHAPE = (4, 8, 8)


def drawn(plan: Plan) -> Network:
    """The network after one training batch, so that its running averages are not 0 and 1."""
    torch.manual_seed(0)
    net = build(plan)
    net(torch.randn(8, *SHAPE) + 0.5)
    return net.eval()


def norm(net: nn.Module, name: str, x: Tensor) -> Tensor:
    layer = net.get_submodule(name)
    assert isinstance(layer, nn.BatchNorm2d)
    mean, variance = layer.running_mean, layer.running_var
    return functional.batch_norm(x, mean, variance, layer.weight, layer.bias)


def weight(net: nn.Module, name: str) -> Tensor:
    return net.get_parameter(f"{name}.weight")


END = """
  - global_avg_pool
  - {linear: {out: $num_classes}, as: output}
"""


def test_full_pre_activation_of_he_2016(planned: Planned) -> None:
    """Identity Mappings in Deep Residual Networks, figure 4e: x + F with F = BN-ReLU-conv twice."""
    text = """
layers:
  - residual:
      body:
        - batch_norm
        - relu
        - conv: {out: 4, padding: same, bias: false}
        - batch_norm
        - relu
        - conv: {out: 4, padding: same, bias: false}
    as: unit
"""
    plan = planned(text + END, shape=SHAPE, classes=2)
    net = drawn(plan)
    x = torch.randn(2, *SHAPE)
    y = functional.relu(norm(net, "unit.body.batch_norm1", x))
    y = functional.conv2d(y, weight(net, "unit.body.conv1"), padding=1)
    y = functional.relu(norm(net, "unit.body.batch_norm2", y))
    y = functional.conv2d(y, weight(net, "unit.body.conv2"), padding=1)
    torch.testing.assert_close(net.get_submodule("unit")(x), x + y)
    assert plan.body.nodes[0].parameters == 2 * (8 + 4 * 4 * 9)


def test_pre_activation_with_a_projection_from_the_activated_input(planned: Planned) -> None:
    """The units of He et al. 2016 that change the shape: both branches read relu(BN(x))."""
    text = """
layers:
  - batch_norm
  - relu
  - residual:
      body:
        - conv: {out: 6, stride: 2, padding: same, bias: false}
        - batch_norm
        - relu
        - conv: {out: 6, padding: same, bias: false}
      shortcut:
        - conv: {out: 6, kernel: 1, stride: 2, bias: false}
    as: unit
"""
    net = drawn(planned(text + END, shape=SHAPE, classes=2))
    x = torch.randn(2, *SHAPE)
    active = functional.relu(norm(net, "batch_norm1", x))
    y = functional.conv2d(active, weight(net, "unit.body.conv1"), stride=2, padding=1)
    y = functional.relu(norm(net, "unit.body.batch_norm1", y))
    y = functional.conv2d(y, weight(net, "unit.body.conv2"), padding=1)
    y = y + functional.conv2d(active, weight(net, "unit.shortcut.conv1"), stride=2)
    torch.testing.assert_close(net.run(x, [("unit", nn.Identity())])[1][0], y)


def test_option_c_projects_where_the_shape_stays_too(planned: Planned) -> None:
    """He et al. 2015, section 4.1: all shortcuts are projections."""
    text = """
layers:
  - residual:
      body: [{conv: {out: 4, padding: same, bias: false}}, batch_norm]
      shortcut: [{conv: {out: 4, kernel: 1, bias: false}}, batch_norm]
    as: unit
"""
    net = drawn(planned(text + END, shape=SHAPE, classes=2))
    x = torch.randn(2, *SHAPE)
    body = functional.conv2d(x, weight(net, "unit.body.conv1"), padding=1)
    side = functional.conv2d(x, weight(net, "unit.shortcut.conv1"))
    body, side = (
        norm(net, f"unit.{branch}.batch_norm1", y)
        for branch, y in (("body", body), ("shortcut", side))
    )
    torch.testing.assert_close(net.get_submodule("unit")(x), body + side)


def test_gates_and_random_depth_end_a_body(planned: Planned) -> None:
    """SE-ResNet (Hu et al. 2018, figure 3) with stochastic depth of linear decay."""
    text = """
vars: {blocks: 4}
blocks:
  unit:
    params: {number: ~}
    layers:
      - residual:
          body:
            - conv: {out: 4, padding: same}
            - squeeze_excite: {reduction: 2}
            - stochastic_depth: {p: 0.5 * $number / $blocks}
layers:
  - {unit: {number: 2}, as: second}
  - {unit: {number: 4}, as: fourth}
"""
    net = drawn(planned(text + END, shape=SHAPE, classes=2))
    second, fourth = (net.get_submodule(f"{name}.residual1.body") for name in ("second", "fourth"))
    rates = [body.get_submodule("stochastic_depth1").p for body in (second, fourth)]
    assert rates == [0.25, 0.5]
    x = torch.randn(2, *SHAPE)
    y = second.get_submodule("squeeze_excite1")(second.get_submodule("conv1")(x))
    torch.testing.assert_close(net.get_submodule("second")(x), x + y)
