"""Names: they are parameter prefixes, so they must not move when something else is edited."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cnntrain.arch.build import build
from cnntrain.arch.plan import Plan
from cnntrain.core.errors import ConfigError

Planned = Callable[..., Plan]

CONV = "conv: {out: 3, padding: same, bias: false}"


def parameters(plan: Plan) -> list[str]:
    return [name for name, _ in build(plan).named_parameters()]


@pytest.mark.parametrize(
    ("items", "names"),
    [
        (["relu", "relu"], "relu1 relu2"),
        (["relu", "tanh", "relu"], "relu1 tanh1 relu2"),
        (["{relu: , as: first}", "relu"], "first relu2"),
        (["{relu: , repeat: 3}"], "relu1 relu2 relu3"),
        (["relu", "{relu: , repeat: 2}", "relu"], "relu1 relu2 relu3 relu4"),
        (["{relu: , repeat: 2, as: pair}", "relu"], "pair pair.relu1 pair.relu2 relu3"),
        (["{relu: , repeat: 1, as: one}"], "one"),
        (["{relu: , repeat: 0}", "relu"], "relu1"),
        (["relu", "{tanh: , repeat: 0}", "relu"], "relu1 relu2"),
        (["relu", "{tanh: , repeat: 0, as: none}", "relu"], "relu1 none relu2"),
        (["two"], "two1 two1.relu1 two1.tanh1"),
        (
            ["{two: , as: stem}", "two"],
            "stem stem.relu1 stem.tanh1 two2 two2.relu1 two2.tanh1",
        ),
        (
            ["{two: , repeat: 2, as: all}"],
            "all all.two1 all.two1.relu1 all.two1.tanh1 all.two2 all.two2.relu1 all.two2.tanh1",
        ),
        (
            ["outer"],
            "outer1 outer1.two1 outer1.two1.relu1 outer1.two1.tanh1 "
            "outer1.two2 outer1.two2.relu1 outer1.two2.tanh1",
        ),
        (
            ["residual: {body: [two]}"],
            "residual1 residual1.body.two1 residual1.body.two1.relu1 residual1.body.two1.tanh1",
        ),
        (
            ["branches: {paths: {a: [relu], b: [{tanh: , as: t}]}}"],
            "branches1 branches1.paths.a.relu1 branches1.paths.b.t",
        ),
        (["sequence: {layers: [relu, tanh]}"], "sequence1 sequence1.relu1 sequence1.tanh1"),
    ],
)
def test_names(planned: Planned, items: list[str], names: str) -> None:
    blocks = {"two": "[relu, tanh]", "outer": "[{two: , repeat: 2}]"}
    used = {name: body for name, body in blocks.items() if name in str(items)}
    if "outer" in used:
        used["two"] = blocks["two"]
    given = "".join(f"  {name}: {{layers: {body}}}\n" for name, body in used.items())
    text = f"blocks:\n{given}" if given else ""
    plan = planned(text + "layers:\n" + "".join(f"  - {item}\n" for item in items))
    assert [name for name, _ in plan.walk()] == names.split()
    net = build(plan)
    modules = dict(net.named_modules())
    assert set(names.split()) <= set(modules), "every name of the plan is a module's"
    assert list(net.operations) == names.split()


def test_parameter_names_stay_when_another_item_gets_a_name_or_follows(planned: Planned) -> None:
    before = parameters(planned(f"layers: [{CONV}, {CONV}, {CONV}]"))
    assert before == ["conv1.weight", "conv2.weight", "conv3.weight"]
    named = parameters(planned(f"layers: [{CONV}, {{{CONV}, as: middle}}, {CONV}]"))
    assert named == ["conv1.weight", "middle.weight", "conv3.weight"]
    longer = parameters(planned(f"layers: [{CONV}, {CONV}, {CONV}, relu, batch_norm, {CONV}]"))
    assert longer[:3] == before
    between = parameters(planned(f"layers: [{CONV}, relu, {CONV}, tanh, {CONV}]"))
    assert between == before
    grouped = parameters(planned(f"layers: [{{{CONV}, repeat: 2, as: stem}}, {CONV}]"))
    assert grouped == ["stem.conv1.weight", "stem.conv2.weight", "conv3.weight"]


def test_a_block_prefixes_the_names_of_what_is_in_it(planned: Planned) -> None:
    text = f"""
blocks:
  inner: {{params: {{out: 3}}, layers: [conv: {{out: $out, padding: same}}, batch_norm]}}
  outer: {{layers: [{{inner: , as: first}}, residual: {{body: [inner, {CONV}]}}]}}
layers: [{{outer: , as: stem}}]
"""
    assert parameters(planned(text)) == [
        "stem.first.conv1.weight",
        "stem.first.conv1.bias",
        "stem.first.batch_norm1.weight",
        "stem.first.batch_norm1.bias",
        "stem.residual1.body.inner1.conv1.weight",
        "stem.residual1.body.inner1.conv1.bias",
        "stem.residual1.body.inner1.batch_norm1.weight",
        "stem.residual1.body.inner1.batch_norm1.bias",
        "stem.residual1.body.conv1.weight",
    ]


def test_a_reader_of_what_repeat_0_left_out_reads_what_is_above(planned: Planned) -> None:
    text = "layers: [{tanh: , as: above}, {conv: {out: 8}, repeat: $n}, relu]\nvars: {n: 1}"
    assert planned(text).body.nodes[-1].node.sources == ("conv1",)
    plan = planned(text, n=0)
    assert plan.body.nodes[-1].node.sources == ("above",)
    assert plan.body.out_shape == (3, 8, 8)


@pytest.mark.parametrize("value", [0, 3])
def test_what_repeat_0_leaves_out_is_checked_all_the_same(described: Any, value: int) -> None:
    with pytest.raises(ConfigError, match="unknown key 'oot'"):
        described("layers: [relu, {conv: {oot: 8}, repeat: $n}]\nvars: {n: 1}", n=value)
