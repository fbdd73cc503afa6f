"""Maps of names against torchvision's models on the meta device, and which map is for which."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from _pytest.mark import ParameterSet

from cnntrain.arch.build import build
from cnntrain.arch.description import describe, usual_facts
from cnntrain.arch.planner import make_plan
from cnntrain.assemble.transfer.name_maps import arch_for, map_file, map_of
from cnntrain.assemble.transfer.torchvision_weights import (
    INCEPTIONS,
    known_models,
    published_for,
)
from cnntrain.checkpoint.foreign import rename
from cnntrain.core.document import read_document
from cnntrain.export.weights import Twin

CONFIGS = Path(__file__).parents[3] / "configs"


def variants() -> dict[str, tuple[str, dict[str, int]]]:
    """The documentation's models without a file of their own: another's name, and `vars`."""
    page = (CONFIGS.parent / "docs" / "transfer.md").read_text("utf-8")
    rows = re.findall(r"^\| (\w+) \| archs/(\w+)\.yaml \| `(.+)` \|$", page, re.MULTILINE)
    return {model: (arch, yaml.safe_load(values)) for model, arch, values in rows}


def shapes(state: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in state.items()}


def models() -> Iterator[ParameterSet]:
    """All models; the smallest of each map is quick."""
    quick: set[Path | None] = set()
    for model in sorted(known_models(), key=lambda model: published_for(model)[0].parameters):
        file = map_file(model, publisher="torchvision")
        yield pytest.param(model, marks=[pytest.mark.slow] if file in quick else [])
        quick.add(file)


@pytest.mark.parametrize("model", [*models()])
def test_a_map_is_right_both_ways(model: str) -> None:
    rules = map_of(model, "torchvision")
    assert rules is not None
    theirs = Twin(model, {"aux_logits": True} if model in INCEPTIONS else {}, {}).empty()
    expected = shapes(theirs.state_dict())
    translated = rename(expected, rules, reverse=True)
    assert rename(translated, rules) == expected
    arch, variables = arch_for(model), {}
    if arch is None and model in variants():
        name, variables = variants()[model]
        arch = f"archs/{name}"
    if arch is None:
        assert model == "regnet_x_8gf"  # its first stage has groups of 80, the others of 120
        return
    document = read_document(CONFIGS / f"{arch}.yaml")
    described = describe(document, facts=usual_facts(document), variables=variables)
    ours = build(make_plan(described), device="meta")
    assert shapes(ours.state_dict()) == translated


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("resnet50", "resnet"),
        ("resnext50_32x4d", "resnext"),
        ("wide_resnet50_2", "wide_resnet"),
        ("vgg16", "vgg16"),
        ("vgg16_bn", "vgg16_bn"),
        ("efficientnet_b7", "efficientnet_b"),
        ("efficientnet_v2_s", "efficientnet_v2_s"),
        ("convnext_large", "convnext"),
        ("regnet_y_32gf", "regnet"),
        ("mobilenet_v3_large", "mobilenet_v3_large"),
        ("squeezenet1_1", "squeezenet1_1"),
        # of torchvision, with other names of layers, or none of our layers
        ("efficientnet_v2_l", None),
        ("vit_b_16", None),
        ("quantized_resnet50", None),
        # of timm
        ("resnetv2_50", None),
        ("convnextv2_tiny", None),
        ("densenetblur121d", None),
        ("vgg", None),
        ("", None),
    ],
)
def test_the_longest_family_counts(model: str, family: str | None) -> None:
    found = map_file(model, publisher="torchvision")
    assert (found and found.name) == (family and f"torchvision_{family}.yaml")


def test_every_map_is_for_some_model() -> None:
    files = {map_file(model, publisher="torchvision") for model in known_models()}
    assert files == set((CONFIGS / "weights").glob("torchvision_*.yaml"))


@pytest.mark.parametrize(
    ("model", "arch"),
    [
        ("vgg11_bn", "archs/vgg_a_bn"),
        ("alexnet", "archs/alexnet_torchvision"),
        ("resnet18", "archs/resnet18"),
        ("convnext_large", None),
        ("vit_b_16", None),
    ],
)
def test_the_architecture_of_a_model(model: str, arch: str | None) -> None:
    assert arch_for(model) == arch
