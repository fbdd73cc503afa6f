"""Networks as graphs: every node is in them, and every arrow is one of the plan's."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from cnntrain.arch.graph import READABLE, Diagram, as_dot, as_graph, as_mermaid
from cnntrain.arch.plan import Plan

ARCHS = Path(__file__).parents[2] / "configs" / "archs"
NAMES = ["lenet5", "googlenet", "resnet20", "resnet50", "multi_scale", "softmax_regression"]
Planned = Callable[..., Plan]
Shipped = Callable[[Path], Plan]


def arrows(graph: Diagram) -> list[tuple[str, str]]:
    titles = {box.number: box.title for box in graph.boxes}
    return [(titles[source], titles[end]) for source, end in graph.arrows]


@pytest.mark.parametrize("write", [as_dot, as_mermaid])
@pytest.mark.parametrize("name", NAMES)
def test_every_outermost_name_is_written(
    name: str, write: Callable[[Diagram], str], shipped: Shipped
) -> None:
    plan = shipped(ARCHS / f"{name}.yaml")
    text = write(as_graph(plan, title=name))
    for node in [name, *(node.name for node in plan.body.nodes), *(head for head, *_ in plan.aux)]:
        assert re.search(rf'["\s]{node}\b', text), node


@pytest.mark.parametrize("depth", [None, 1, 2, 9])
@pytest.mark.parametrize("name", NAMES)
def test_all_is_reached_from_the_input(name: str, depth: int | None, shipped: Shipped) -> None:
    graph = as_graph(shipped(ARCHS / f"{name}.yaml"), depth=depth)
    reached = {graph.boxes[0].number}
    for source, end in graph.arrows:  # a box is made after those that it reads
        assert source in reached
        assert source < end
        reached.add(end)
    assert reached == {box.number for box in graph.boxes}


def test_deep_networks_stay_readable(shipped: Shipped) -> None:
    for name in ("resnet152", "googlenet", "preact_resnet164"):
        assert len(as_graph(shipped(ARCHS / f"{name}.yaml")).boxes) <= READABLE
    graph = as_graph(shipped(ARCHS / "resnet152.yaml"), depth=2)
    assert "block2 to block36" in [box.title for box in graph.boxes]


def test_the_whole_of_lenet(shipped: Shipped) -> None:
    """Its twelve layers below each other, as in the file."""
    plan = shipped(ARCHS / "lenet5.yaml")
    chain = ["input", *(node.name for node in plan.body.nodes)]
    assert arrows(as_graph(plan)) == list(pairwise(chain))
    text = as_dot(as_graph(plan))
    assert 'n1 [label="c1\\nconv 5x5  6x28x28" fillcolor="#cfe2f3"]' in text
    assert "  n0 -> n1\n" in text
    text = as_mermaid(as_graph(plan))
    assert 'n1["c1<br>conv 5x5  6x28x28"]:::weights' in text
    assert "  n0 --> n1\n" in text


def test_a_block_that_a_head_reads_stands_by_itself(planned: Planned) -> None:
    text = """
blocks: {unit: {layers: [{conv: {out: 3, padding: same}}, relu]}}
layers: [{unit: , repeat: 4}, global_avg_pool]
aux: [{from: unit3, layers: [global_avg_pool]}]
"""
    found = as_graph(planned(text), depth=1)
    titles = [box.title for box in found.boxes]
    assert titles == ["input", "unit1 to unit2", "unit3", "unit4", "global_avg_pool1", "aux1"]
    assert ("unit3", "aux1") in arrows(found)
    opened = as_mermaid(as_graph(planned(text), depth=2))
    assert '["aux1  head, 1 of the loss"]' in opened


def test_branches_and_skips(planned: Planned) -> None:
    text = """
layers:
  - {conv: {out: 3, padding: same}, as: a}
  - {residual: {body: [{conv: {out: 3, padding: same}, as: inner}]}, as: b}
  - {residual: {body: [{conv: {out: 6, padding: same}, as: wide}]}, as: c}
  - {branches: {merge: concat, paths: {one: [{conv: {out: 1, kernel: 1}, as: left}], two: [relu]}},
    as: d}
  - {concat: , from: [c, d], as: e}
"""
    graph = as_graph(planned(text), depth=2)
    assert arrows(graph) == [
        ("input", "a"),
        *(("a", "inner"), ("inner", "+"), ("a", "+")),  # b: what it reads passes by its body
        *(("+", "wide"), ("+", "shortcut"), ("wide", "+"), ("shortcut", "+")),  # c's projection
        *(("+", "left"), ("+", "relu1"), ("left", "concat"), ("relu1", "concat")),
        *(("+", "e"), ("concat", "e")),
    ]
    frames = re.findall(r'subgraph \w+ \{ label="(.*)"', as_dot(graph))
    assert frames == [
        "b  residual  3x8x8",
        "c  residual  6x8x8",
        "d  branches  7x8x8",
        "one",
        "two",
    ]


def test_titles_cannot_break_the_text(shipped: Shipped) -> None:
    graph = as_graph(shipped(ARCHS / "lenet5.yaml"), title='a "b" \\ c')
    assert r'label="a \"b\" \\ c"' in as_dot(graph)
    assert r'title: "a \"b\" \\ c"' in as_mermaid(graph)
