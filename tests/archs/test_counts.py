"""Parameters and multiply-adds of every architecture against what is known from elsewhere.

known.yaml has a figure, or a sum over the layers, for each, with its source. `pytest -s -k table`
prints all of them side by side.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
import yaml
from torch.utils.flop_counter import FlopCounterMode
from trying.twins import twin_of

from cnntrain.arch.description import describe, usual_facts
from cnntrain.arch.plan import Plan, PlannedNode
from cnntrain.arch.planner import make_plan
from cnntrain.assemble.networks import make_network
from cnntrain.config.arch_header import read_header
from cnntrain.core.document import read_document

FOLDER = Path(__file__).parents[2] / "configs" / "archs"
NAMES = sorted(file.stem for file in FOLDER.glob("*.yaml"))
KNOWN: dict[str, dict[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("known.yaml").read_text(encoding="utf-8")
)
TORCHVISION = {
    **{name: name for name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")},
    **{name: name for name in ("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d")},
    **{name: name for name in ("wide_resnet50_2", "wide_resnet101_2")},
    **{name: name for name in ("squeezenet1_0", "squeezenet1_1")},
    **{name: name for name in ("densenet121", "densenet161", "densenet169", "densenet201")},
    **{f"shufflenet_v2_x{n}": f"shufflenet_v2_x{n}" for n in ("0_5", "1_0", "1_5", "2_0")},
    "inception_v3": "inception_v3",
    "alexnet_torchvision": "alexnet",
    "googlenet_torchvision": "googlenet",
    "vgg_a": "vgg11",
    "vgg_b": "vgg13",
    "vgg_d": "vgg16",
    "vgg_e": "vgg19",
    "vgg_a_bn": "vgg11_bn",
    "vgg_b_bn": "vgg13_bn",
    "vgg_d_bn": "vgg16_bn",
    "vgg_e_bn": "vgg19_bn",
    **{name: name for name in ("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large")},
    **{name: name for name in ("mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3")},
    **{f"efficientnet_b{n}": f"efficientnet_b{n}" for n in range(8)},
    "efficientnet_v2_s": "efficientnet_v2_s",
    **{name: name for name in ("convnext_tiny", "convnext_small", "convnext_base")},
    **{name: name for name in ("regnet_x_400mf", "regnet_x_1_6gf", "regnet_y_400mf")},
    "regnet_y_1_6gf": "regnet_y_1_6gf",
}
Arch = Callable[[str], Plan]

every_arch = pytest.mark.parametrize("name", NAMES)


def known(name: str) -> tuple[int, int]:
    """(parameters, multiply-adds) of known.yaml."""
    sums = [str(KNOWN[name][key]) for key in ("parameters", "multiply_adds")]
    assert all(re.fullmatch(r"[0-9+*() -]+", text) for text in sums), name
    parameters, multiply_adds = (eval(text) for text in sums)  # nothing but sums of integers
    return parameters, multiply_adds


def main_parameters(plan: Plan) -> int:
    """Parameters without auxiliary heads."""
    return sum(node.parameters for node in plan.body.nodes)


def test_all_are_known() -> None:
    assert sorted(KNOWN) == NAMES


def test_headers_name_the_maps_of_torchvisions_names() -> None:
    assert {name: twin for name in NAMES if (twin := twin_of(name))} == TORCHVISION


@every_arch
def test_counts(name: str, arch: Arch) -> None:
    plan = arch(name)
    assert (plan.parameters, plan.multiply_adds) == known(name)


@every_arch
def test_the_header_says_what_the_plan_says(name: str, arch: Arch) -> None:
    """`cnntrain list archs` prints these figures without planning anything."""
    header, plan = read_header(FOLDER / f"{name}.yaml"), arch(name)
    assert (header.parameters, header.multiply_adds) == (plan.parameters, plan.multiply_adds)
    assert (header.channels, header.size, header.size) == plan.body.in_shape
    assert header.classes == plan.description.facts.num_classes


@every_arch
def test_initial_weights_can_be_drawn(name: str, arch: Arch) -> None:
    net = make_network(arch(name), seed=0, device="meta")
    assert sum(p.numel() for p in net.parameters()) == arch(name).parameters


def test_table_of_all(arch: Arch) -> None:
    rows = []
    for name in NAMES:
        plan, (parameters, multiply_adds) = arch(name), known(name)
        differences = plan.parameters - parameters, plan.multiply_adds - multiply_adds
        assert differences == (0, 0)
        counts = f"{plan.parameters:,} | {plan.multiply_adds:,} | {parameters:,}"
        rows.append(f"| {name} | {counts} | {multiply_adds:,} | 0 | {KNOWN[name]['source']} |")
    print("\n| architecture | parameters | multiply-adds | known | known | difference | source |")
    print("|---|---:|---:|---:|---:|---:|---|", *rows, sep="\n")


@pytest.mark.parametrize(("name", "theirs"), TORCHVISION.items())
def test_torchvisions_own_counts(name: str, theirs: str, arch: Arch) -> None:
    """Its modules, run on the meta device, and torch's own counter of floating-point operations."""
    plan = arch(name)
    options = {"init_weights": False} if theirs in ("googlenet", "inception_v3") else {}
    computes = theirs.startswith("regnet")  # its widths, by torch, from their formula
    with torch.device("cpu" if computes else "meta"):
        model = torchvision.models.get_model(theirs, weights=None, **options).eval()
    with torch.device("meta"):
        model = model.to("meta")
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(torch.empty(1, *plan.body.in_shape))
    assert plan.parameters == sum(p.numel() for p in model.parameters())
    assert plan.multiply_adds == counter.get_total_flops() // 2


@pytest.mark.parametrize(
    ("name", "less"),
    [
        ("alexnet_without_7", 16_781_312),  # 4096 * 4097
        ("alexnet_without_6_7", 49_414_144),  # and 4096 * 9217, but 1000 * 5120 more
        ("alexnet_without_3_4", 2_507_520),  # 384 * 2305 + 384 * 3457 + 256 * 1152
        ("alexnet_without_3_4_6_7", 51_921_664),
    ],
)
def test_what_the_ablations_of_alexnet_take_away(name: str, less: int, arch: Arch) -> None:
    assert arch("alexnet").parameters - arch(name).parameters == less


def leaves(plan: Plan) -> list[PlannedNode]:
    return [node for _, node in plan.walk() if not list(node.lists)]


def weight_layers(plan: Plan) -> int:
    """Convolutions and linear layers, without those of projections and heads."""
    heads = {name for name, *_ in plan.aux}
    kinds = {"conv", "linear"}
    walked = [node for name, node in plan.walk() if name.partition(".")[0] not in heads]
    return sum(node.node.operation in kinds for node in walked)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        *[("vgg_a", 11), ("vgg_a_lrn", 11), ("vgg_b", 13), ("vgg_c", 16), ("vgg_d", 16)],
        *[("vgg_e", 19), ("resnet18", 18), ("resnet34", 34), ("resnet50", 50)],
        *[("resnet101", 101), ("resnet152", 152), ("plain18", 18), ("plain34", 34)],
        *[("resnet20", 20), ("resnet110", 110), ("plain56", 56), ("preact_resnet164", 164 + 3)],
        *[("resnext50_32x4d", 50), ("wide_resnet101_2", 101), ("squeezenet1_0", 2 + 8 * 3)],
        *[("densenet121", 121), ("densenet161", 161), ("densenet169", 169), ("densenet201", 201)],
        *[("alexnet", 8), ("alexnet_without_3_4_6_7", 4), ("googlenet", 3 + 9 * 6 + 1)],
    ],
)
def test_layers_with_weights_are_as_many_as_the_name_says(
    name: str, count: int, arch: Arch
) -> None:
    # preact_resnet164 writes its three projections; GoogLeNet's longest path has 3 + 9 * 2 + 1 = 22
    assert weight_layers(arch(name)) == count


def test_where_the_parameters_and_the_work_of_alexnet_are(arch: Arch) -> None:
    # slides: 62.3 M parameters, the convolutions have 6 % of them and 95 % of the time
    plan = arch("alexnet")
    convs = [node for node in plan.body.nodes if node.node.operation == "conv_relu"]
    assert sum(node.parameters for node in convs) == 3_747_200
    assert sum(node.parameters for node in convs) / plan.parameters == pytest.approx(0.0601, 1e-2)
    work = sum(node.multiply_adds for node in convs) / plan.multiply_adds
    assert work == pytest.approx(0.9484, abs=1e-4)
    # Krizhevsky et al. 2012: 650,000 neurons
    counted = ("conv_relu", "fc", "linear")
    nodes = [node for node in plan.body.nodes if node.node.operation in counted]
    assert sum(torch.Size(node.out_shape).numel() for node in nodes) == 659_272


def test_connections_of_the_first_lenets(arch: Arch) -> None:
    # LeCun et al. 1989: 98,442; 1998: 340,908. A value of a convolution has one connection for each
    # weight and one for its bias, of a subsampling four and one.
    counts = []
    for name in ("lenet1", "lenet5_1998"):
        total = 0
        for node in leaves(arch(name)):
            values = torch.Size(node.out_shape).numel()
            if node.node.operation == "subsampling":
                total += values * 5
            elif node.node.operation == "rbf_output":
                total += node.multiply_adds
            elif node.parameters:
                total += node.multiply_adds + values
        counts.append(total)
    assert counts == [98_442, 340_908]


def test_the_reductions_of_an_inception_module(arch: Arch) -> None:
    naive, reduced = (
        next(node for node in arch(name).body.nodes if node.name == "inception3a")
        for name in ("inception_naive", "inception_reduced")
    )
    assert (naive.parameters, naive.out_shape[0]) == (387_296, 416)
    assert (reduced.parameters, reduced.out_shape[0]) == (163_696, 256)
    published = next(n for n in arch("googlenet").body.nodes if n.name == "inception3a")
    assert published.parameters == reduced.parameters


def test_counts_without_auxiliary_heads(arch: Arch) -> None:
    assert main_parameters(arch("googlenet")) == 6_998_552
    assert main_parameters(arch("googlenet_torchvision")) == 6_624_904  # torchvision's own figure
    assert main_parameters(arch("inception_v3")) == 23_834_568  # the same


@pytest.mark.parametrize(
    ("name", "variables", "parameters"),
    [
        ("bn_inception", {"bias": True}, 11_295_240),  # Cadene's bninception
        ("mobilenet_v2", {"width": 1.4, "last": 1792}, 6_108_776),  # torchvision's
        ("preact_resnet164", {"n": 111}, 10_327_706),  # He et al. 2016: ResNet-1001 has 10.2 M
    ],
)
def test_other_variables(name: str, variables: dict[str, Any], parameters: int) -> None:
    document = read_document(FOLDER / f"{name}.yaml")
    facts = usual_facts(document)
    assert make_plan(describe(document, facts=facts, variables=variables)).parameters == parameters
