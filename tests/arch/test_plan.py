"""The plan is what is built: shapes, parameters and cost against the real network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from cnntrain.arch.build import build
from cnntrain.arch.plan import Plan
from cnntrain.core.errors import ConfigError

FOLDER = Path(__file__).parents[2] / "configs" / "archs"
ARCHS = [
    FOLDER / f"{name}.yaml"
    for name in ("digits", "lenet300", "lenet5", "maxout", "resnet20", "starter", "googlenet")
]
"""Chains, paths, skips and heads, of `conv` and `linear`; tests/archs has the other networks."""

Planned = Callable[..., Plan]


class Observed:
    """A real forward pass: the shape that every module gave, and its multiply-adds by formula."""

    def __init__(self, plan: Plan) -> None:
        self.net = build(plan).eval()
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.multiply_adds = 0
        for name, module in self.net.named_modules():
            module.register_forward_hook(self._note(name))
        with torch.no_grad():
            self.net(torch.zeros(2, *plan.body.in_shape))

    def _note(self, name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def note(module: nn.Module, _: Any, output: Tensor) -> None:
            self.shapes[name] = tuple(output.shape[1:])
            if isinstance(module, nn.Conv2d):
                # per output value one product for each weight of its filter: K_h K_w M / groups
                window = module.kernel_size[0] * module.kernel_size[1]
                maps = module.in_channels // module.groups
                self.multiply_adds += window * maps * output[0].numel()
            elif isinstance(module, nn.Linear):
                self.multiply_adds += module.in_features * module.out_features

        return note


def assert_plan_is_real(plan: Plan) -> None:
    seen = Observed(plan)
    assert plan.parameters == sum(p.numel() for p in seen.net.parameters())
    assert plan.multiply_adds == seen.multiply_adds
    assert plan.body.out_shape == seen.shapes[""]
    modules = dict(seen.net.named_modules())
    for name, node in plan.walk():
        assert node.parameters == sum(p.numel() for p in modules[name].parameters()), name
        if name.partition(".")[0] not in {head for head, *_ in plan.aux}:
            assert node.out_shape == seen.shapes[name], name


@pytest.mark.parametrize("file", ARCHS, ids=lambda file: file.stem)
def test_shipped(file: Path, shipped: Callable[[Path], Plan]) -> None:
    assert_plan_is_real(shipped(file))


def test_batch_normalisation_that_counts_its_batches(planned: Planned) -> None:
    """In a layer and inside of another; its count has no value where a network is planned."""
    norm = "batch_norm: {momentum: null}"
    items = f"{norm}, residual: {{body: [{norm}]}}, flatten, linear: {{out: 3}}"
    plan = planned(f"layers: [{items}]", shape=(3, 8, 8))
    net = build(plan)
    norms = [each for each in net.modules() if isinstance(each, nn.BatchNorm2d)]
    assert [each.momentum for each in norms] == [None, None]
    net(torch.zeros(2, *plan.body.in_shape))
    assert_plan_is_real(plan)


def test_the_published_formula_for_one_convolution(planned: Planned) -> None:
    # M input maps of D x D, N output maps: N M K K weights (no bias), and for each of the
    # (D - K + 1)^2 positions as many multiply-adds; 3 maps of 32, 16 of 5x5: 1,200 and 940,800.
    plan = planned("layers: [conv: {out: 16, kernel: 5, bias: false}]", shape=(3, 32, 32))
    assert plan.body.out_shape == (16, 28, 28)
    assert (plan.parameters, plan.multiply_adds) == (1200, 940800)


SIDE = st.integers(1, 3)
SIZE = SIDE | st.lists(SIDE, min_size=2, max_size=2)
CONV = st.fixed_dictionaries(
    {"out": st.sampled_from([2, 4, 6]), "kernel": SIZE},
    optional={
        "stride": st.integers(1, 2),
        "padding": st.integers(0, 2),
        "dilation": st.integers(1, 2),
        "groups": st.integers(1, 2),
        "bias": st.booleans(),
    },
).map(lambda values: {"conv": values})
KEEPS_SIZE = st.fixed_dictionaries(
    {"out": st.sampled_from([2, 4]), "kernel": st.sampled_from([1, 3]), "padding": st.just("same")}
).map(lambda values: {"conv": values})
POOL = st.tuples(
    st.sampled_from(["max_pool", "avg_pool"]),
    st.fixed_dictionaries({"kernel": st.integers(2, 3), "stride": st.integers(1, 2)}),
).map(lambda pair: {pair[0]: pair[1]})
PLAIN = st.sampled_from(["relu", "batch_norm", "tanh"])
SIMPLE = PLAIN | KEEPS_SIZE


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(inner, min_size=1, max_size=3)
    paths = st.dictionaries(st.sampled_from(["a", "b", "c"]), lists, min_size=1)
    return st.one_of(
        lists.map(lambda items: {"residual": {"body": items}}),
        paths.map(lambda items: {"branches": {"paths": items}}),
        lists.map(lambda items: {"sequence": {"layers": items}, "repeat": 2}),
        inner.map(lambda item: {"sequence": {"layers": [item]}, "repeat": 2, "as": "named"}),
    )


ITEM = st.recursive(SIMPLE, _nested, max_leaves=4)
JOIN = st.tuples(st.sampled_from(["add", "concat"]), st.integers(0, 9), st.integers(0, 9))


@st.composite
def graphs(draw: st.DrawFn) -> list[Any]:
    """Up to six items, some of which join two items above them."""
    items: list[Any] = []
    for position in range(draw(st.integers(1, 6))):
        item = draw(ITEM | CONV | POOL)
        item = {item: {}} if isinstance(item, str) else dict(item)
        if position and draw(st.integers(0, 3)) == 0:
            operation, one, other = draw(JOIN)
            reads = [f"item{one % position}", f"item{other % position}"]
            item = {operation: {}, "from": reads}
        items.append({**item, "as": f"item{position}"})
    return items


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(graphs())
def test_random_graphs(planned: Planned, items: list[Any]) -> None:
    text = json.dumps({"layers": [*items, "global_avg_pool", {"linear": {"out": 3}}]})
    try:
        plan = planned(text, shape=(2, 11, 9))
    except ConfigError as error:
        problem = error.problems[0]
        assert problem.place is not None
        assert problem.remedy
        assume(False)
    assert_plan_is_real(plan)


@pytest.mark.parametrize(
    ("arch", "parameters", "multiply_adds"),
    [
        # LeNet-5: (25 + 1) 6 + (25 x 6 + 1) 16 + (25 x 16 + 1) 120 + 121 x 84 + 85 x 10;
        # 784 x 25 x 6 + 100 x 150 x 16 + 400 x 120 + 120 x 84 + 84 x 10
        ("lenet5", 61_706, 416_520),
        # LeNet-300-100: 785 x 300 + 301 x 100 + 101 x 10; 784 x 300 + 300 x 100 + 100 x 10
        ("lenet300", 266_610, 266_200),
        # ResNet-20: He et al. 2015, table 6 (0.27 M); convolutions 432 + 6 x 2,304 + 4,608
        # + 5 x 9,216 + 18,432 + 5 x 36,864, batch norms 2 x (7 x 16 + 6 x 32 + 6 x 64), linear 650
        ("resnet20", 269_722, 40_551_040),
    ],
)
def test_published_counts(
    shipped: Callable[[Path], Plan], arch: str, parameters: int, multiply_adds: int
) -> None:
    plan = shipped(next(file for file in ARCHS if file.stem == arch))
    assert (plan.parameters, plan.multiply_adds) == (parameters, multiply_adds)


class OnlyMeta(TorchDispatchMode):
    """Refuses any tensor that would take memory."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        tensors = [t for t in torch.utils._pytree.tree_leaves(output) if isinstance(t, Tensor)]
        assert all(t.device.type == "meta" for t in tensors), func
        return output


@pytest.mark.parametrize("file", ARCHS, ids=lambda file: file.stem)
def test_planning_allocates_nothing_and_draws_nothing(
    file: Path, shipped: Callable[[Path], Plan]
) -> None:
    before = torch.get_rng_state()
    with OnlyMeta():
        shipped(file)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_larger_than_the_memory_is_planned(planned: Planned) -> None:
    plan = planned("layers: [flatten, linear: {out: 1000000}, linear: {out: 1000000}]")
    assert plan.parameters == 193 * 10**6 + (10**6 + 1) * 10**6


def test_planning_leaves_the_default_device_and_gradients_as_they_were(planned: Planned) -> None:
    planned("layers: [relu]")
    assert torch.zeros(1).device.type == "cpu"
    assert torch.is_grad_enabled()
    with pytest.raises(ConfigError):
        planned("layers: [linear: {out: 3}]")
    assert torch.zeros(1).device.type == "cpu"
    assert torch.is_grad_enabled()
