"""Architectures without some layers, against those that were written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cnntrain.arch.ablation import without, without_idle_rules
from cnntrain.arch.description import Facts, describe, usual_facts
from cnntrain.arch.plan import Plan
from cnntrain.arch.planner import make_plan
from cnntrain.config import shipped
from cnntrain.core.document import parse_document, read_document
from cnntrain.core.errors import UsageError
from cnntrain.fit.ablate import ablate

FACTS = Facts(10, 3, 32, 32)
PLAIN = """
vars: {wide: 8, narrow: 4}
blocks:
  block: {params: {out: ~}, layers: [{conv: {out: $out, padding: same}}, relu]}
layers:
  - conv: {out: $wide, padding: same}
  - batch_norm
  - relu
  - conv: {out: $wide, padding: same}
  - batch_norm
  - relu
  - max_pool
  - block: {out: $narrow}
    repeat: 3
    as: stage
  - {conv: {out: $narrow, padding: same}, repeat: 2}
  - concat: {}
    from: [stage, conv4]
  - global_avg_pool
  - linear: {out: $num_classes}
init:
  - {names: conv2, weight: {normal: {std: 0.1}}}
  - {names: "conv*", weight: {normal: {std: 0.2}}}
  - {layers: linear, bias: 0}
"""


def left(text: str, names: Sequence[str]) -> tuple[Plan, tuple[str, ...], dict[str, Any]]:
    document = parse_document(text, name="a.yaml")
    nodes = describe(document, facts=FACTS).nodes
    found = without(document.data, nodes, names)
    import yaml

    again = parse_document(yaml.safe_dump(found.section), name="b.yaml")
    return make_plan(describe(again, facts=FACTS)), found.removed, found.section


@pytest.mark.parametrize("layers", ["7", "6_7", "3_4", "3_4_6_7"])
def test_the_four_ablations_of_alexnet(layers: str) -> None:
    """The files say what the tutorial of 2013 left out, and were counted by hand."""
    folder = shipped.folder() or Path()
    names = {"3": "conv3", "4": "conv4", "6": "fc6", "7": "fc7"}
    chosen = tuple(names[layer] for layer in layers.split("_"))
    by_hand = read_document(folder / "archs" / f"alexnet_without_{layers}.yaml")
    expected = make_plan(describe(by_hand, facts=usual_facts(by_hand)))
    found = ablate(folder / "archs" / "alexnet.yaml", [chosen], train=False).variants[1]
    assert found.left_out == found.removed == chosen
    assert found.parameters == expected.parameters
    assert found.multiply_adds == expected.multiply_adds


def test_a_convolution_takes_what_belongs_to_it_and_others_keep_their_names() -> None:
    plan, removed, _ = left(PLAIN, ["conv2"])
    assert removed == ("conv2", "batch_norm2", "relu2")
    names = [node.name for node in plan.body.nodes]
    assert names == [
        *("conv1", "batch_norm1", "relu1", "max_pool1", "stage", "conv3", "conv4"),
        *("concat1", "global_avg_pool1", "linear1"),
    ]
    whole = make_plan(describe(parse_document(PLAIN, name="a"), facts=FACTS))
    gone = 8 * 8 * 9 + 8 + 2 * 8  # the filters, their biases, the normalisation's factors
    assert plan.parameters == whole.parameters - gone


def test_one_copy_of_a_repeated_block() -> None:
    plan, removed, _ = left(PLAIN, ["stage.block2"])
    assert removed == ("stage.block2",)
    stage = plan.body.nodes[7]
    assert [node.name for node in stage.nested[""].nodes] == ["block1", "block2"]


def test_readers_of_a_removed_layer_read_what_it_read() -> None:
    plan, _, section = left(PLAIN, ["conv4", "stage"])
    join = next(node for node in plan.body.nodes if node.name == "concat1")
    assert join.node.sources == ("max_pool1", "conv3")
    assert "blocks" not in section
    assert section["vars"] == {"wide": 8, "narrow": 4}
    assert section["layers"][-3]["from"] == ["max_pool1", "conv3"]


def test_what_nobody_needs_any_more_goes() -> None:
    text = PLAIN.replace("from: [stage, conv4]", "from: [stage, max_pool1]")
    _, _, section = left(text, ["stage", "conv3", "conv4"])
    assert section["vars"] == {"wide": 8}
    assert "blocks" not in section


def test_rules_for_what_is_gone_go() -> None:
    section = parse_document(PLAIN, name="a").data
    modules, operations = ["conv1", "stage.block1.conv1", "linear1"], ["conv", "linear"]
    kept = without_idle_rules(section, modules=modules, operations=operations)
    assert [rule.get("names") for rule in kept["init"]] == ["conv*", None]
    kept = without_idle_rules(section, modules=["conv1"], operations=["conv"])
    assert [rule.get("names") for rule in kept["init"]] == ["conv*"]


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["conv9"], "there is no layer 'conv9'; did you mean"),
        (["concat1"], "'concat1' joins stage and conv4; leave out one of those"),
        (["stage.block7"], "'stage.block7' is inside of 'stage'; leave out 'stage' as a whole"),
        (["stages.block1"], "there is no layer 'stages.block1'; did you mean 'stage'?"),
    ],
)
def test_what_cannot_be_left_out(names: list[str], says: str) -> None:
    with pytest.raises(UsageError) as error:
        left(PLAIN, names)
    assert says in str(error.value)


def test_something_must_be_left() -> None:
    with pytest.raises(UsageError, match="no layer would be left"):
        left("layers: [{linear: {out: $num_classes}}]", ["linear1"])


def test_a_copy_keeps_its_number_when_it_is_written_as_an_item_of_its_own() -> None:
    text = """
blocks: {drop: {params: {p: ~}, layers: [dropout: {p: $p}]}}
layers:
  - {drop: {p: $copy / 4}, repeat: 3}
  - sequence: {layers: [dropout: {p: 0.9 - $copy / 4}, {dropout: {p: $copy / 8}, repeat: 2}]}
    repeat: 1
  - global_avg_pool
  - linear: {out: 10}
"""
    plan, _, section = left(text, ["drop2"])
    dropped = [node.keywords["p"] for _, node in plan.walk() if "p" in node.keywords]
    assert dropped == [0, 0.5, 0.9, 0, 0.125]
    assert [item["as"] for item in section["layers"][:3]] == ["drop1", "drop3", "sequence1"]
