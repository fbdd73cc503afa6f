"""torchvision's weights in our networks and back: the same numbers, bit for bit.

Its models are the oracle: logits, auxiliary logits, gradients and running averages on a CPU in
float32. Images are small where the networks take any size, so that this stays quick.
`scripts/try_archs --parity` does it for every architecture.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from trying.twins import (
    differing,
    outputs,
    plan_of,
    random_model,
    rules_of,
    run,
    with_versions,
    with_weights,
)

from cnntrain.arch.network import Network
from cnntrain.checkpoint.foreign import rename


@dataclass(frozen=True)
class Case:
    """A model of torchvision, our architecture, and the side of the images."""

    model: str
    arch: str
    size: int = 64

    def __str__(self) -> str:
        return f"{self.model}-{self.size}"


CASES = [
    Case("alexnet", "alexnet_torchvision", 224),
    Case("googlenet", "googlenet_torchvision"),
    Case("resnet18", "resnet18", 224),
    *[Case(f"resnet{n}", f"resnet{n}") for n in (34, 50, 101, 152)],
    Case("resnext50_32x4d", "resnext50_32x4d"),
    Case("wide_resnet50_2", "wide_resnet50_2"),
    Case("squeezenet1_0", "squeezenet1_0"),
    Case("squeezenet1_1", "squeezenet1_1"),
    Case("densenet121", "densenet121"),
    Case("shufflenet_v2_x0_5", "shufflenet_v2_x0_5"),
    Case("shufflenet_v2_x1_0", "shufflenet_v2_x1_0"),
    Case("inception_v3", "inception_v3", 299),
    Case("vgg11", "vgg_a", 224),
    Case("vgg13", "vgg_b"),
    Case("vgg16", "vgg_d"),
    Case("vgg19", "vgg_e"),
    Case("vgg11_bn", "vgg_a_bn"),
    Case("vgg13_bn", "vgg_b_bn"),
    Case("vgg16_bn", "vgg_d_bn"),
    Case("vgg19_bn", "vgg_e_bn"),
    Case("mobilenet_v2", "mobilenet_v2", 32),
    Case("mobilenet_v3_small", "mobilenet_v3_small", 32),
    Case("mobilenet_v3_large", "mobilenet_v3_large", 32),
    Case("mnasnet0_75", "mnasnet0_75", 32),
    *[Case(f"efficientnet_b{n}", f"efficientnet_b{n}", 32) for n in (0, 5)],
    Case("efficientnet_v2_s", "efficientnet_v2_s", 64),
    Case("convnext_tiny", "convnext_tiny", 32),
    Case("regnet_x_400mf", "regnet_x_400mf"),
    Case("regnet_x_1_6gf", "regnet_x_1_6gf", 32),
    Case("regnet_y_400mf", "regnet_y_400mf"),
    Case("regnet_y_1_6gf", "regnet_y_1_6gf", 32),
]
every_case = pytest.mark.parametrize("case", CASES, ids=str)


def ours(case: Case, state: dict[str, Tensor]) -> Network:
    return with_weights(plan_of(case.arch, side=case.size), state)


@pytest.mark.slow
@every_case
def test_the_same_numbers(case: Case) -> None:
    rules, theirs = rules_of(case.arch), random_model(case.model)
    state = theirs.state_dict()
    net = ours(case, rename(state, rules, reverse=True))
    images = torch.randn(2, 3, case.size, case.size)
    back = rename(net.state_dict(), rules)
    assert differing(back, state) == []
    theirs.load_state_dict(with_versions(back, state), strict=True)
    with torch.no_grad():
        (one,), (other,) = (outputs(each.eval(), images) for each in (net, theirs))
    assert other.std() > 1e-3
    assert torch.equal(one, other)
    (mine, gradients), (expected, their_gradients) = (
        run(each.train(), images) for each in (net, theirs)
    )
    assert len(mine) == 1 + len(net.aux_weights)
    for one, other in zip(mine, expected, strict=True):
        assert other.std() > 1e-3
        assert torch.equal(one, other)
    assert differing(rename(gradients, rules), their_gradients) == []
    assert differing(rename(net.state_dict(), rules), theirs.state_dict()) == []  # averages


DROPPING = ("alexnet", "googlenet", "efficientnet_b0")


@pytest.mark.parametrize("case", [case for case in CASES if case.model in DROPPING], ids=str)
def test_dropout_draws_the_same_masks(case: Case) -> None:
    """Quickly, for three; the test above does it for all."""
    theirs = random_model(case.model).train()
    net = ours(case, rename(theirs.state_dict(), rules_of(case.arch), reverse=True)).train()
    images = torch.randn(2, 3, case.size, case.size)
    found = []
    for each in (net, theirs):
        torch.manual_seed(1)
        with torch.no_grad():
            found.append(outputs(each, images))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
