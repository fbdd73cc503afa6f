"""What blocks, variables and `from` mean: read off the nodes' parameters and the outputs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from cnntrain.arch.build import build
from cnntrain.arch.description import Description
from cnntrain.arch.plan import Plan
from cnntrain.core.errors import ConfigError

Described = Callable[..., Description]
Planned = Callable[..., Plan]


def outs(plan: Plan) -> list[int]:
    """The `out` of every layer that has one, in the order of the file."""
    return [int(node.keywords["out"]) for _, node in plan.walk() if "out" in node.keywords]


BLOCK = """
vars: {width: 4, growth: $width // 2}
blocks:
  grow:
    params: {out: $width, mid: $out + $growth, kernel: 1}
    layers: [conv: {out: $mid, kernel: $kernel}, conv: {out: $out, kernel: $kernel}]
layers: [grow, grow: {out: $width * 2}, grow: {mid: 5, out: 7}]
"""


def test_defaults_use_variables_and_the_parameters_above_them(planned: Planned) -> None:
    # width 4, growth 2: (out 4, mid 6), (out 8, mid 10), (out 7, mid 5)
    assert outs(planned(BLOCK)) == [6, 4, 10, 8, 5, 7]


def test_the_run_file_sets_variables_and_those_computed_from_them_follow(planned: Planned) -> None:
    # width 8, growth 4
    assert outs(planned(BLOCK, width=8)) == [12, 8, 20, 16, 5, 7]
    assert outs(planned(BLOCK, width=8, growth=1)) == [9, 8, 17, 16, 5, 7]


def test_a_variable_may_be_given_as_arithmetic(planned: Planned) -> None:
    assert outs(planned(BLOCK, growth="$width * 3"))[:2] == [16, 4]


def test_a_parameter_hides_the_variable_of_its_name_in_its_block_only(planned: Planned) -> None:
    text = """
vars: {out: 2}
blocks: {one: {params: {out: 9}, layers: [conv: {out: $out}]}}
layers: [one, conv: {out: $out}]
"""
    assert outs(planned(text)) == [9, 2]


def test_a_block_does_not_see_the_parameters_of_the_block_around_it(described: Described) -> None:
    text = """
blocks:
  inner: {layers: [conv: {out: $secret}]}
  outer: {params: {secret: 4}, layers: [inner, conv: {out: $secret}]}
layers: [outer]
"""
    with pytest.raises(ConfigError, match=r"unknown name '\$secret'"):
        described(text)


def test_a_variable_names_an_operation(planned: Planned) -> None:
    text = "vars: {act: relu}\nlayers: [$act, $act: {}]"
    assert [node.node.operation for _, node in planned(text).walk()] == ["relu", "relu"]
    assert [name for name, _ in planned(text, act="tanh").walk()] == ["tanh1", "tanh2"]


def test_facts_of_the_data_are_names(planned: Planned) -> None:
    text = """
layers:
  - conv: {out: $image_channels * 2, kernel: $image_size // 2}
  - conv: {out: $num_classes}
  - global_avg_pool
"""
    assert outs(planned(text, shape=(2, 8, 8), classes=5)) == [4, 5]


def test_image_size_is_there_for_square_images_only(described: Described) -> None:
    text = "layers: [conv: {out: 1, kernel: [$image_height, $image_width]}]"
    assert described(text, shape=(1, 4, 6)).nodes[0].keywords["kernel"] == (4, 6)
    with pytest.raises(ConfigError, match=r"unknown name '\$image_size'"):
        described("layers: [conv: {out: 1, kernel: $image_size}]", shape=(1, 4, 6))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("vars: {a: 1, b: 2}\nlayers: [conv: {out: $a}]", "the variable 'b' is never used"),
        ("blocks: {b: {layers: [relu]}}\nlayers: [relu]", "the block 'b' is never used"),
        (
            "blocks: {b: {params: {x: 1}, layers: [relu]}}\nlayers: [b]",
            "the parameter 'x' of the block 'b' is never used",
        ),
    ],
)
def test_what_is_never_used_is_reported(described: Described, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        described(text)
    assert [says] == [problem.message for problem in caught.value.problems]


def test_an_unknown_variable_of_the_run_file_is_reported(described: Described) -> None:
    with pytest.raises(ConfigError, match="has no variable 'widht'; did you mean 'width'"):
        described(BLOCK, widht=8)


def test_any_acyclic_graph_can_be_written(planned: Planned) -> None:
    text = """
layers:
  - conv: {out: 2, kernel: 1}
    as: a
  - conv: {out: 3, kernel: 1}
    from: input
    as: b
  - concat:
    from: [a, b, input]
    as: joined
  - conv: {out: 2, kernel: 1}
  - add:
    from: [conv3, a]
  - concat:
    from: [add1, joined, add1]
"""
    net = build(planned(text))
    x = torch.randn(2, 3, 8, 8)
    a, b = net.get_submodule("a")(x), net.get_submodule("b")(x)
    joined = torch.cat([a, b, x], dim=1)
    added = net.get_submodule("conv3")(joined) + a
    torch.testing.assert_close(net(x), torch.cat([added, joined, added], dim=1), rtol=0, atol=0)


def test_branches_and_residual_compute_what_they_say(planned: Planned) -> None:
    text = """
layers:
  - branches:
      paths:
        one: [conv: {out: 2, kernel: 1}, relu]
        two: [conv: {out: 3, padding: same}]
  - residual: {body: [conv: {out: 5, padding: same}, relu]}
  - residual: {body: [conv: {out: 4, padding: same, stride: 2}]}
"""
    net = build(planned(text)).eval()
    x = torch.randn(2, 3, 8, 8)
    part = net.get_submodule
    one = torch.relu(part("branches1.paths.one.conv1")(x))
    joined = torch.cat([one, part("branches1.paths.two.conv1")(x)], dim=1)
    same = joined + torch.relu(part("residual1.body.conv1")(joined))
    projection = part("residual2.shortcut")
    assert [type(m) for m in projection.children()] == [nn.Conv2d, nn.BatchNorm2d]
    expected = part("residual2.body.conv1")(same) + projection(same)
    torch.testing.assert_close(net(x), expected, rtol=0, atol=0)


AUX = """
layers:
  - conv: {out: 4}
    as: stem
  - global_avg_pool
  - linear: {out: $num_classes}
aux:
  - {from: stem, weight: 0.3, layers: [flatten, linear: {out: $num_classes}]}
  - {from: conv_end, as: late, layers: [linear: {out: $num_classes}]}
""".replace("global_avg_pool\n", "global_avg_pool:\n    as: conv_end\n")


def test_auxiliary_heads_are_there_in_training_only(planned: Planned) -> None:
    plan = planned(AUX, classes=5)
    net = build(plan)
    assert net.aux_weights == (0.3, 1.0)
    x = torch.randn(2, 3, 8, 8)
    logits, (early, late) = net.train()(x)
    stem = net.get_submodule("stem")(x)
    torch.testing.assert_close(early, net.get_submodule("aux1")(stem), rtol=0, atol=0)
    pooled = stem.mean(dim=(2, 3))
    torch.testing.assert_close(late, net.get_submodule("late")(pooled), rtol=0, atol=0)
    torch.testing.assert_close(net.eval()(x), logits, rtol=0, atol=0)


def test_auxiliary_heads_count_as_parameters_but_not_as_cost(planned: Planned) -> None:
    plan, plain = planned(AUX, classes=5), planned(AUX.split("aux:")[0], classes=5)
    heads = (4 * 6 * 6 * 5 + 5) + (4 * 5 + 5)
    assert plan.parameters == plain.parameters + heads
    assert plan.parameters == sum(p.numel() for p in build(plan).parameters())
    assert plan.multiply_adds == plain.multiply_adds


COPIES = """
vars: {n: 3}
blocks:
  one: {params: {out: ~}, layers: [conv: {out: $out, kernel: 1}]}
  step: {params: {out: ~}, layers: [one: {out: $out}, {one: {out: $out * 10 + $copy}, repeat: 2}]}
layers:
  - {step: {out: $copy + 1}, repeat: $n}
  - {sequence: {layers: [{one: {out: $copy + 5}, repeat: 2}, one: {out: $copy + 8}]}, repeat: 1}
"""


def test_copy_counts_the_copies_of_the_innermost_repeated_item(planned: Planned) -> None:
    assert outs(planned(COPIES)) == [1, 10, 11, 2, 20, 21, 3, 30, 31, 5, 6, 8]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layers: [conv: {out: $copy}]", r"unknown name '\$copy'"),
        ("blocks: {one: {layers: [conv: {out: $copy}]}}\nlayers: [{one: , repeat: 2}]", "unknown"),
        ("vars: {copy: 1}\nlayers: [conv: {out: $copy}]", r"'copy'; choose another name"),
        ("blocks: {one: {params: {copy: 1}, layers: [relu]}}\nlayers: [one]", "parameter cannot"),
    ],
)
def test_copy_is_known_in_a_repeated_item_only_and_is_nobodys_name(
    described: Described, text: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        described(text)
