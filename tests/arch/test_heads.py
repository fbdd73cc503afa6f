"""Networks with several heads: against the same layers run by hand."""

from __future__ import annotations

import pytest
import torch

from cnntrain.arch.ablation import without
from cnntrain.arch.build import build
from cnntrain.arch.description import Facts, describe
from cnntrain.arch.planner import make_plan
from cnntrain.core.document import parse_document
from cnntrain.core.errors import UsageError

TEXT = """
vars: {wide: 6}
layers:
  - {conv: {out: 4, kernel: 3}, as: stem}
  - relu
  - flatten
  - linear: {out: $wide}
heads:
  zoo: {layers: [{linear: {out: $num_classes}}]}
  angle: {from: flatten1, layers: [tanh, {linear: {out: $num_classes}}]}
  image: {from: stem, layers: [{conv_transpose: {out: $image_channels, kernel: 3}}]}
"""
FACTS = Facts(5, 1, 6, 6, {"zoo": 4, "angle": 1, "image": 0})


def test_heads_are_joined_in_the_order_of_their_names() -> None:
    plan = make_plan(describe(parse_document(TEXT, name="a.yaml"), facts=FACTS))
    assert plan.body.out_shape == (1 + 36 + 4,)
    assert plan.description.heads == ("zoo", "angle", "image")
    net = build(plan).eval()
    assert plan.parameters == sum(p.numel() for p in net.parameters())
    names = list(dict(net.named_parameters()))
    assert names[-2:] == ["image.conv_transpose1.weight", "image.conv_transpose1.bias"]
    images = torch.rand(3, 1, 6, 6)
    maps = net.stem(images)
    flat = maps.relu().flatten(1)
    expected = [
        net.angle.linear1(flat.tanh()),
        net.image.conv_transpose1(maps).flatten(1),
        net.zoo.linear1(net.linear1(flat)),
    ]
    assert torch.equal(net(images), torch.cat(expected, dim=1))


def test_without_a_run_file_every_head_has_the_classes() -> None:
    facts = Facts(5, 1, 6, 6)
    plan = make_plan(describe(parse_document(TEXT, name="a.yaml"), facts=facts))
    assert plan.body.out_shape == (5 + 36 + 5,)


def test_heads_stay_where_layers_are_left_out() -> None:
    document = parse_document(TEXT, name="a.yaml")
    nodes = describe(document, facts=FACTS).nodes
    found = without(document.data, nodes, ["linear1"])
    assert found.removed == ("linear1",)
    assert "vars" not in found.section
    assert [head["from"] for head in found.section["heads"].values()] == [
        "flatten1", "flatten1", "stem",
    ]  # fmt: skip
    with pytest.raises(UsageError, match="'zoo' is a head, and what it learns would be without"):
        without(document.data, nodes, ["zoo"])
