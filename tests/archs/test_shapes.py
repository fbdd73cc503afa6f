"""Sizes of the maps and receptive fields that papers and lectures print."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cnntrain.arch.build import build
from cnntrain.arch.coverage import coverages, in_words
from cnntrain.arch.plan import Plan, PlannedNode
from cnntrain.arch.receptive import Axis
from cnntrain.arch.table import rows, units

Arch = Callable[[str], Plan]


def sizes(plan: Plan, *operations: str) -> list[int]:
    """Side of the maps, or length of the vector, after each node of these operations."""
    return [node.out_shape[-1] for node in plan.body.nodes if node.node.operation in operations]


@pytest.mark.parametrize("name", ["alexnet", "alexnet_groups"])
def test_alexnet(name: str, arch: Arch) -> None:
    plan = arch(name)
    counted = sizes(plan, "conv_relu", "max_pool", "fc", "linear")
    assert [plan.body.in_shape[1], *counted] == [
        *[227, 55, 27, 27, 13, 13, 13, 13, 6],
        *[4096, 4096, 1000],
    ]
    flat = next(node for node in plan.body.nodes if node.node.operation == "flatten")
    assert (flat.in_shapes, flat.out_shape) == (((256, 6, 6),), (9216,))


def test_the_table_shows_them(arch: Arch) -> None:
    shown = [row.out_shape[-1] for row in rows(arch("alexnet")) if row.depth == 0]
    assert shown == [55, 27, 27, 27, 13, 13, 13, 13, 13, 6, 9216, 4096, 4096, 1000]


@pytest.mark.parametrize("letter", ["a", "a_lrn", "b", "c", "d", "e", "a_bn", "c_bn", "e_bn"])
def test_vgg_ends_in_512_maps_of_7x7(letter: str, arch: Arch) -> None:
    nodes = {node.name: node for node in arch(f"vgg_{letter}").body.nodes}
    assert nodes["flatten1"].in_shapes == ((512, 7, 7),)
    fully_connected = sum(nodes[name].parameters for name in ("fc6", "fc7", "fc8"))
    assert fully_connected == 123_642_856  # in every column of the table


# Szegedy et al. 2014, table 1; Ioffe, Szegedy 2015, figure 5 (4c, 4d, 4e: what the columns add to)
GOOGLENET = {
    "3a": (256, 28),
    "3b": (480, 28),
    "4a": (512, 14),
    "4b": (512, 14),
    "4c": (512, 14),
    "4d": (528, 14),
    "4e": (832, 14),
    "5a": (832, 7),
    "5b": (1024, 7),
}
BN_INCEPTION = {
    "3a": (256, 28),
    "3b": (320, 28),
    "3c": (576, 14),
    "4a": (576, 14),
    "4b": (576, 14),
    "4c": (608, 14),
    "4d": (608, 14),
    "4e": (1056, 7),
    "5a": (1024, 7),
    "5b": (1024, 7),
}


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("googlenet", GOOGLENET),
        ("googlenet_torchvision", GOOGLENET),
        ("bn_inception", BN_INCEPTION),
    ],
)
def test_inception_modules(name: str, table: dict[str, tuple[int, int]], arch: Arch) -> None:
    modules = {n.name: n for n in arch(name).body.nodes if n.name.startswith("inception")}
    assert {key: modules[f"inception{key}"].out_shape[:2] for key in table} == table


def test_resnets_halve_the_map_at_each_stage(arch: Arch) -> None:
    # He et al. 2015, table 1: 112, 56, 56, 28, 14, 7
    for name, maps in (("resnet34", 512), ("resnet152", 2048)):
        named = [node for node in arch(name).body.nodes if node.name.startswith(("conv", "max"))]
        assert [node.out_shape[1] for node in named] == [112, 56, 56, 28, 14, 7]
        assert named[-1].out_shape[0] == maps


def test_the_stages_of_jarrett(arch: Arch) -> None:
    # Jarrett et al. 2009: 143x143 after the first normalisation, 64 maps of 26x26, 256 of 4x4
    shapes = [node.out_shape for node in arch("jarrett").body.nodes]
    assert shapes == [(1, 143, 143), (64, 26, 26), (256, 4, 4), (4096,), (101,)]


def axis_of(node: PlannedNode) -> Axis:
    assert node.receptive_field is not None
    return node.receptive_field.height


@pytest.fixture
def convolve_and_pool(arch: Arch) -> list[Axis]:
    """The fields of the two convolutions and two poolings of Conv-LeNet-300."""
    nodes = arch("conv_lenet300_v3").body.nodes
    return [axis_of(node) for node in nodes if node.node.operation in ("conv", "max_pool")]


def test_fields_of_convolve_and_pool(convolve_and_pool: list[Axis]) -> None:
    # computed by hand: 1 + 4; + 1; + 4 * 2; + 2
    assert [axis.size for axis in convolve_and_pool] == [5, 6, 14, 16]
    assert [axis.jump for axis in convolve_and_pool] == [1, 2, 2, 4]
    first = [axis.start - (axis.size - 1) / 2 for axis in convolve_and_pool]
    assert first == [-2, -2, -6, -6]


def test_what_seven_units_cover_of_28_pixels(convolve_and_pool: list[Axis]) -> None:
    axis = convolve_and_pool[-1]
    lows = [axis.start + unit * axis.jump - (axis.size - 1) / 2 for unit in range(7)]
    spans = [(max(low, 0) + 1, min(low + axis.size - 1, 27) + 1) for low in lows]
    assert spans == [(1, 10), (1, 14), (3, 18), (7, 22), (11, 26), (15, 28), (19, 28)]
    cover = [sum(low <= pixel <= high for low, high in spans) for pixel in range(1, 29)]
    assert cover == [2, 2, 3, 3, 3, 3, *[4] * 16, 3, 3, 3, 3, 2, 2]


def test_the_coverage_of_28_pixels(arch: Arch) -> None:
    # the "Tot" row of the lectures, as recomputed above
    found = coverages(arch("conv_lenet300_v3"))
    assert [each.layer for each in found] == ["conv1", "max_pool1", "conv2", "max_pool2"]
    assert found[-1].rows == (2, 2, 3, 3, 3, 3, *[4] * 16, 3, 3, 3, 3, 2, 2)
    assert found[-1].columns == found[-1].rows
    assert in_words(found[-1]) == "along one side 2 x2, 3 x4, 4 x16, 3 x4, 2 x2"
    # 5x5 windows with a border of 2: a corner pixel is in those of 3 x 3 units
    assert (found[0].rows[0], max(found[0].rows)) == (3, 5)


def test_neurons_of_alexnet(arch: Arch) -> None:
    # Krizhevsky et al. 2012, figure 2, with the 227 pixels that the sizes imply: "650,000 neurons"
    each = [290_400, 186_624, 64_896, 64_896, 43_264, 4_096, 4_096, 1_000]
    assert units(arch("alexnet")) == units(arch("alexnet_groups")) == sum(each) == 659_272
    assert units(arch("lenet300")) == 300 + 100 + 10


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "googlenet"])
def test_neurons_are_the_outputs_of_convolutions_and_products(arch: Arch, name: str) -> None:
    plan, found = arch(name), 0
    net = build(plan, device="meta").train()

    def count(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal found
        if isinstance(module, nn.Conv2d | nn.Linear):
            found += output[0].numel()

    for module in net.modules():
        module.register_forward_hook(count)
    net(torch.zeros(2, *plan.body.in_shape, device="meta"))
    assert units(plan) == found


def test_the_table_shows_the_fields(arch: Arch) -> None:
    shown = {row.name: row.receptive_field for row in rows(arch("conv_lenet300_v3"))}
    names = ("conv1", "max_pool1", "conv2", "max_pool2")
    assert [shown[name] for name in names] == [(5, 5), (6, 6), (14, 14), (16, 16)]


def test_fields_of_convolve_with_stride(arch: Arch) -> None:
    # computed by hand: 1 + 4; + 4 * 2. The same maps and weights as with pooling, smaller fields.
    axes = [axis_of(node) for node in arch("conv_lenet300_stride").body.nodes[:3:2]]
    assert [(axis.size, axis.jump) for axis in axes] == [(5, 2), (13, 4)]
    pooled, strided = arch("conv_lenet300_v3"), arch("conv_lenet300_stride")
    assert strided.parameters == pooled.parameters
    assert sizes(strided, "conv") == sizes(pooled, "max_pool") == [14, 7]
    assert sizes(strided, "max_pool") == []


def test_dropconnect_is_one_layer_more(arch: Arch) -> None:
    # Wan et al. 2013, section 6.3: 128 units between Krizhevsky's network and the classifier
    below = [node.node.operation for node in arch("locally_connected").body.nodes]
    assert [node.node.operation for node in arch("dropconnect").body.nodes] == [
        *below[:-1],
        *("dropconnect", "relu", "linear"),
    ]
    assert sizes(arch("dropconnect"), "dropconnect", "linear") == [128, 10]


def test_a_dense_layer_adds_as_many_maps_as_the_growth_rate(arch: Arch) -> None:
    # Huang et al. 2017, table 1: side of the maps; 64 maps and 32 for each layer, then half of them
    named = {node.name: node.out_shape for node in arch("densenet121").body.nodes}
    blocks = [named[f"block{n}"] for n in (1, 2, 3, 4)]
    assert [shape[1] for shape in blocks] == [56, 28, 14, 7]
    assert [shape[0] for shape in blocks] == [
        *(64 + 6 * 32, 128 + 12 * 32, 256 + 24 * 32, 512 + 16 * 32)
    ]


def test_the_table_of_inception_v3(arch: Arch) -> None:
    # Szegedy et al. 2015, table 1: input sizes of its rows; 288, 768, 2048 maps after each figure
    named = {node.name: node.out_shape for node in arch("inception_v3").body.nodes}
    sides = [named[name][1] for name in ("conv1", "conv2", "conv3", "halve1", "conv5", "halve2")]
    assert sides == [149, 147, 147, 73, 71, 35]
    ends = [named[name][:2] for name in ("mixed5d", "mixed6a", "mixed6e", "mixed7a", "mixed7c")]
    assert ends == [(288, 35), (768, 17), (768, 17), (1280, 8), (2048, 8)]


def test_the_table_of_shufflenet_v2(arch: Arch) -> None:
    # Ma et al. 2018, table 5: maps and their side after each stage, for 0.5x and 2x
    for name, maps in (("x0_5", [48, 96, 192]), ("x2_0", [244, 488, 976])):
        named = {node.name: node.out_shape for node in arch(f"shufflenet_v2_{name}").body.nodes}
        shapes = [named[f"stage{n}"] for n in (2, 3, 4)]
        assert shapes == [
            (count, side, side) for count, side in zip(maps, (28, 14, 7), strict=True)
        ]
