"""Remarks on small networks with one mistake each, on healthy neighbours, and the remedies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from cnntrain.arch.linearity import linearity_of
from cnntrain.arch.plan import Plan
from cnntrain.assemble.networks import plan_network
from cnntrain.assemble.sight_rules import sight
from cnntrain.config.from_python import load_given
from cnntrain.core.remark import Remark

HEAD = ["flatten", {"linear": {"out": "$num_classes"}}]


def conv(out: int, **other: Any) -> dict[str, Any]:
    return {"conv": {"out": out, "kernel": 3, "padding": "same", **other}}


def plan(layers: Sequence[Any], overrides: Sequence[str] = (), **arch: Any) -> Plan:
    """Of 3x32x32 images of 10 classes."""
    tree: Mapping[str, Any] = {
        "arch": {"layers": list(layers), **arch},
        "data": {"name": "synthetic", "size": 32, "channels": 3},
        "train": {"epochs": 1, "optimizer": {"name": "sgd", "lr": 0.1}},
    }
    return plan_network(load_given(tree, overrides))


def remarks(layers: Sequence[Any], overrides: Sequence[str] = (), **arch: Any) -> list[Remark]:
    return sight(plan(layers, overrides, **arch), classes=10, applies="softmax")


STEM = [conv(16), "relu", {"max_pool": {"kernel": 2}}]
LINEAR = [conv(8), "batch_norm", {"avg_pool": {"kernel": 2}}, conv(16), *HEAD]

BROKEN = {
    # one unit for 2x2 of each 4x4 pixels, 1 - 1/4; 3x3 of 4x4, 1 - 9/16
    "stride beyond the kernel": ([conv(16, kernel=2, stride=4, padding=0), "relu", *HEAD],
                                 "unseen_pixels", True, "75% of the pixels: 'conv1' "),
    "a row and a column of four": ([conv(16, stride=4), "relu", conv(9), "relu", *HEAD],
                                   "unseen_pixels", True, "44% of the pixels"),
    # 25 - 7 + 1 = 19 positions of kernel 7 stride 12 are 1: 7 of 32 rows, 1 - (7 / 32)^2
    "one window in the corner": ([conv(16, kernel=7, stride=40, padding=0), "relu", *HEAD],
                                 "unseen_pixels", True, "95% of the pixels, at the border"),
    "pooled first": ([{"max_pool": {"kernel": 2}}, conv(16), "relu", *HEAD],
                     "pooled_early", False, "'max_pool1' "),
    "pooled away first": ([{"avg_pool": {"kernel": 8}}, conv(16), "relu", *HEAD],
                          "pooled_early", True, "'avg_pool1' "),
    # 8 maps of 4x4 are 128 of 3,072 values
    "a large stride": ([conv(8, stride=2), "relu", {"max_pool": {"kernel": 4}}, conv(16), *HEAD],
                       "pooled_early", True, "128 are left before 'conv2'"),
    "one matrix": (LINEAR, "linear_chain", True, "'conv1' and 'conv2'"),
    "no activation between two": ([*STEM, "flatten", {"linear": {"out": 64}}, "dropout",
                                   {"linear": {"out": 10}}], "linear_chain", False, "'linear1'"),
    "rectifiers of slope one": ([*STEM, "flatten", {"linear": {"out": 64}},
                                 {"leaky_relu": {"slope": 1.0}}, {"linear": {"out": 10}}],
                                "linear_chain", False, "'linear1'"),
    "only norms between": ([conv(16), {"group_norm": {"groups": 4}}, conv(16), "layer_norm",
                            conv(32), "relu", *HEAD], "linear_chain", True, "'conv1' and 'conv2'"),
    # the taps beside the middle are 32 pixels away, and the maps have 32
    "dilated": ([conv(8), "relu", conv(8, dilation=32), "relu", *HEAD],
                "small_windows", True, "8 of the 9 weights of a kernel of 'conv2'"),
    "residual sums are linear": ([conv(8), {"residual": {"body": [conv(8)]}}, *HEAD],
                                 "linear_chain", True, "the whole network is one matrix"),
    # log2(10) = 3.3
    "three units": ([*STEM, "flatten", {"linear": {"out": 3}}, "relu", {"linear": {"out": 10}}],
                    "bottleneck", True, "3 values of 'linear1'"),
    "two linear units": ([*STEM, "flatten", {"linear": {"out": 2}}, {"prelu": {}},
                          {"linear": {"out": 10}}], "bottleneck", False, "2 values of 'linear1'"),
    "two maps": ([*STEM, conv(2), "relu", conv(2), "relu", conv(2), "relu", conv(2), "relu",
                  "global_avg_pool", {"linear": {"out": 10}}],
                 "bottleneck", True, "2 values of 'global_avg_pool1'"),
    "relu at the end": ([*STEM, *HEAD, "relu"], "squashed_outputs", True, "ends in 'relu2'"),
    "tanh at the end": ([*STEM, *HEAD, "tanh"], "squashed_outputs", True, "ends in 'tanh1'"),
    "dropout at the end": ([*STEM, *HEAD, "dropout"], "squashed_outputs", True, "'dropout1'"),
    "small windows": ([conv(16), "relu", conv(16), "relu", "global_avg_pool", *HEAD[1:]],
                      "small_windows", False, "5x5 of 32x32"),
}  # fmt: skip
"""Layers, the fault, whether it is certain, and what the headline names."""

HEALTHY = {
    "LeNet's kind": [*STEM, conv(32), "relu", {"max_pool": {"kernel": 2}}, *HEAD],
    "pooling is an activation": [conv(16), {"max_pool": {"kernel": 2}}, conv(32),
                                 {"max_pool": {"kernel": 2}}, *HEAD],
    "one linear layer": HEAD,
    "rank of five": ["flatten", {"linear": {"out": 5}}, {"linear": {"out": 10}}],
    "linear bottleneck": [conv(64), "relu", conv(16, kernel=1), "batch_norm", conv(96, kernel=1),
                          "relu", *HEAD],
    "depthwise, then pointwise": [conv(16), "relu", conv(16, groups=16), conv(32, kernel=1), "relu",
                                  *HEAD],
    "patches": [conv(64, kernel=4, stride=4, padding=0), "relu", conv(64), "relu", *HEAD],
    "a leaky rectifier": [*STEM, "flatten", {"linear": {"out": 64}}, {"leaky_relu": {"slope": 0.3}},
                          {"linear": {"out": 10}}],
    "dilated by half of the maps": [conv(8), "relu", conv(8, dilation=14), "relu", *HEAD],
    "one value a bit": [*STEM, "flatten", {"linear": {"out": 4}}, "relu", {"linear": {"out": 10}}],
    "maps of one channel": [*STEM, conv(1), "relu", *HEAD],
    "SqueezeNet's end": [*STEM, conv(32), "relu", {"max_pool": {"kernel": 2}}, conv(10), "relu",
                         "global_avg_pool"],
    "mean of the windows of a deep network": [*STEM, conv(16), "relu", conv(16), "relu",
                                              "global_avg_pool", *HEAD[1:]],
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_mistake_is_named_with_its_layer(name: str) -> None:
    layers, fault, is_certain, named = BROKEN[name]
    found = next(each for each in remarks(layers) if each.fault == fault)
    assert found.is_certain == is_certain
    assert named in found.headline
    if found.overrides:
        assert fault not in [each.fault for each in remarks(layers, found.overrides)]


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_neighbours_get_no_remark(name: str) -> None:
    assert remarks(HEALTHY[name]) == []


def test_which_remedies_can_be_pasted() -> None:
    overrides = {name: remarks(layers)[0].overrides for name, (layers, *_) in BROKEN.items()}
    assert all(overrides.values())
    assert overrides["three units"] == ("arch.layers.4.linear.out=20",)
    (whole,) = overrides["one matrix"]
    assert whole.startswith("arch.layers=[{conv: {")
    assert [each.split(",")[0] for each in whole.split("batch_norm")[1:]] == [""]
    assert whole.count("relu") == 2


def test_a_block_is_mended_once_for_all_its_copies() -> None:
    blocks = {"unit": {"params": {"out": None}, "layers": [conv("$out"), "batch_norm"]}}  # type: ignore[arg-type]
    layers = [{"unit": {"out": 8}, "repeat": 2}, *HEAD]
    (found,) = remarks(layers, blocks=blocks)
    assert [each.name for each in linearity_of(plan(layers, blocks=blocks)).whole] == [
        *("unit1.conv1", "unit2.conv1", "linear1")
    ]
    (override,) = found.overrides
    assert override.startswith("arch.blocks.unit.layers=[")
    assert override.endswith(", batch_norm, relu]")
    assert remarks(layers, found.overrides, blocks=blocks) == []


def test_other_tasks_have_other_rules() -> None:
    layers = ["flatten", {"linear": {"out": 100}}, {"linear": {"out": 10}}, "tanh"]
    assert [each.fault for each in sight(plan(layers))] == ["linear_chain"]
    whole = plan(layers[:3])
    assert [each.is_certain for each in sight(whole)] == [True]
    assert [each.is_certain for each in sight(whole, is_image=True)] == [False]
