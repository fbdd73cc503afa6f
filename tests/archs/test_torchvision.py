"""torchvision's weights in our networks and back: the same numbers, bit for bit.

Its models are the oracle: logits, auxiliary logits, gradients and running averages on a CPU in
float32. Images are small where the networks take any size, so that this stays quick.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.convnext import CNBlock

from cnntrain.arch.build import build
from cnntrain.arch.description import describe, usual_facts
from cnntrain.arch.network import Network
from cnntrain.arch.planner import make_plan
from cnntrain.checkpoint.foreign import Rule, read_rules, rename
from cnntrain.core.document import read_document
from cnntrain.layers.stochastic_depth import StochasticDepth

CONFIGS = Path(__file__).parents[2] / "configs"


@dataclass(frozen=True)
class Case:
    """A model of torchvision, our architecture, the map of names, and the side of the images."""

    model: str
    arch: str
    names: str
    size: int = 64

    def __str__(self) -> str:
        return f"{self.model}-{self.size}"


CASES = [
    Case("alexnet", "alexnet_torchvision", "torchvision_alexnet", 224),
    Case("googlenet", "googlenet_torchvision", "torchvision_googlenet"),
    Case("resnet18", "resnet18", "torchvision_resnet", 224),
    *[Case(f"resnet{n}", f"resnet{n}", "torchvision_resnet") for n in (34, 50, 101, 152)],
    Case("resnext50_32x4d", "resnext50_32x4d", "torchvision_resnext"),
    Case("wide_resnet50_2", "wide_resnet50_2", "torchvision_wide_resnet"),
    Case("squeezenet1_0", "squeezenet1_0", "torchvision_squeezenet1_0"),
    Case("squeezenet1_1", "squeezenet1_1", "torchvision_squeezenet1_1"),
    Case("densenet121", "densenet121", "torchvision_densenet"),
    Case("shufflenet_v2_x0_5", "shufflenet_v2_x0_5", "torchvision_shufflenet_v2"),
    Case("shufflenet_v2_x1_0", "shufflenet_v2_x1_0", "torchvision_shufflenet_v2"),
    Case("inception_v3", "inception_v3", "torchvision_inception_v3", 299),
    Case("vgg11", "vgg_a", "torchvision_vgg11", 224),
    Case("vgg13", "vgg_b", "torchvision_vgg13"),
    Case("vgg16", "vgg_d", "torchvision_vgg16"),
    Case("vgg19", "vgg_e", "torchvision_vgg19"),
    Case("vgg11_bn", "vgg_a_bn", "torchvision_vgg11_bn"),
    Case("vgg13_bn", "vgg_b_bn", "torchvision_vgg13_bn"),
    Case("vgg16_bn", "vgg_d_bn", "torchvision_vgg16_bn"),
    Case("vgg19_bn", "vgg_e_bn", "torchvision_vgg19_bn"),
    Case("mobilenet_v2", "mobilenet_v2", "torchvision_mobilenet_v2", 32),
    Case("mobilenet_v3_small", "mobilenet_v3_small", "torchvision_mobilenet_v3_small", 32),
    Case("mobilenet_v3_large", "mobilenet_v3_large", "torchvision_mobilenet_v3_large", 32),
    Case("mnasnet0_75", "mnasnet0_75", "torchvision_mnasnet", 32),
    *[
        Case(f"efficientnet_b{n}", f"efficientnet_b{n}", "torchvision_efficientnet_b", 32)
        for n in (0, 5)
    ],
    Case("efficientnet_v2_s", "efficientnet_v2_s", "torchvision_efficientnet_v2_s", 64),
    Case("convnext_tiny", "convnext_tiny", "torchvision_convnext", 32),
    Case("regnet_x_400mf", "regnet_x_400mf", "torchvision_regnet"),
    Case("regnet_x_1_6gf", "regnet_x_1_6gf", "torchvision_regnet", 32),
    Case("regnet_y_400mf", "regnet_y_400mf", "torchvision_regnet"),
    Case("regnet_y_1_6gf", "regnet_y_1_6gf", "torchvision_regnet", 32),
]
DROPS = (nn.Dropout, StochasticDepth, torchvision.ops.StochasticDepth)
every_case = pytest.mark.parametrize("case", CASES, ids=str)


def torchvisions(case: Case) -> nn.Module:
    """Its model with random weights, with running averages and factors that are not 0 and 1."""
    torch.manual_seed(0)
    has_option = case.model.startswith(("vgg", "googlenet", "inception"))
    options: dict[str, Any] = {"init_weights": False} if has_option else {}
    model: nn.Module = torchvision.models.get_model(case.model, weights=None, **options)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.running_mean, std=0.1)
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
        if isinstance(module, CNBlock):
            nn.init.uniform_(module.layer_scale, 0.5, 1.5)  # not 1e-6: the block must count
    return model


def ours(case: Case, state: dict[str, Tensor]) -> Network:
    """Our network with these weights, which it shares, and copies of the running averages."""
    document = read_document(CONFIGS / "archs" / f"{case.arch}.yaml")
    facts = replace(usual_facts(document), image_height=case.size, image_width=case.size)
    net = build(make_plan(describe(document, facts=facts)), device="meta")
    net.load_state_dict(state, strict=True, assign=True)
    for module in net.modules():
        for name, tensor in module.named_buffers(recurse=False):
            module.register_buffer(name, tensor.clone())
    return net.requires_grad_()


def rules_of(case: Case) -> tuple[Rule, ...]:
    return read_rules(CONFIGS / "weights" / f"{case.names}.yaml")


def outputs(net: nn.Module, images: Tensor) -> list[Tensor]:
    """Logits, and those of the heads in the order in which they stand in the network."""
    found = net(images)
    if isinstance(found, Tensor):
        return [found]
    if isinstance(net, Network):
        return [found[0], *found[1]]
    return [found.logits, *reversed(found[1:])]  # GoogLeNet's second head comes first


def run(net: nn.Module, images: Tensor) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Outputs, and the gradient of a loss that has all of them in it."""
    net.zero_grad(set_to_none=True)
    found = outputs(net, images)
    losses = [each.log_softmax(dim=1)[:, 3].mean() for each in found]
    torch.autograd.backward(-torch.stack(losses).sum())
    gradients = {k: p.grad for k, p in net.named_parameters() if p.grad is not None}
    return [each.detach() for each in found], gradients


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def with_versions(state: dict[str, Tensor], other: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same with what another state_dict says of versions: MNASNet asks for its own."""
    found = OrderedDict(state)
    found._metadata = other._metadata  # type: ignore[attr-defined]  # torch's own attribute
    return found


@pytest.mark.slow
@every_case
def test_the_same_numbers(case: Case) -> None:
    rules, theirs = rules_of(case), torchvisions(case)
    state = theirs.state_dict()
    net = ours(case, rename(state, rules, reverse=True))
    images = torch.randn(2, 3, case.size, case.size)
    back = rename(net.state_dict(), rules)
    assert_same(back, dict(state))
    theirs.load_state_dict(with_versions(back, state), strict=True)
    for is_training in (False, True):
        for each in (net, theirs):
            each.train(is_training)
            for module in each.modules():
                if isinstance(module, DROPS):
                    module.p = 0.0
        (mine, gradients), (expected, their_gradients) = run(net, images), run(theirs, images)
        assert len(mine) == (1 + len(net.aux_weights) if is_training else 1)
        for one, other in zip(mine, expected, strict=True):
            assert other.std() > 1e-3
            assert torch.equal(one, other)
        assert_same(rename(gradients, rules), their_gradients)
    assert_same(rename(net.state_dict(), rules), theirs.state_dict())  # the running averages


DROPPING = ("alexnet", "googlenet", "efficientnet_b0")


@pytest.mark.parametrize("case", [case for case in CASES if case.model in DROPPING], ids=str)
def test_dropout_draws_the_same_masks(case: Case) -> None:
    theirs = torchvisions(case).train()
    net = ours(case, rename(theirs.state_dict(), rules_of(case), reverse=True)).train()
    images = torch.randn(2, 3, case.size, case.size)
    found = []
    for each in (net, theirs):
        torch.manual_seed(1)
        with torch.no_grad():
            found.append(outputs(each, images))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
