"""A shipped architecture and the model of torchvision that computes the same.

The model's weights are random, its running averages and factors are not 0 and 1; nothing is
downloaded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.convnext import CNBlock

from cnntrain.arch.build import build
from cnntrain.arch.description import describe, usual_facts
from cnntrain.arch.network import Network
from cnntrain.arch.plan import Plan
from cnntrain.arch.planner import make_plan
from cnntrain.assemble.transfer.name_maps import map_of
from cnntrain.checkpoint.foreign import Rule
from cnntrain.config import shipped
from cnntrain.config.arch_header import read_header
from cnntrain.core.document import read_document


def file_of(name: str) -> Path:
    """The file of a shipped architecture."""
    file = shipped.find(f"archs/{name}")
    assert file is not None
    return file


def plan_of(name: str, *, side: int | None = None) -> Plan:
    """A shipped architecture, for images of that side or of its own size."""
    document = read_document(file_of(name))
    facts = usual_facts(document)
    if side is not None:
        facts = replace(facts, image_height=side, image_width=side)
    return make_plan(describe(document, facts=facts))


def twin_of(name: str) -> str | None:
    """torchvision's model of an architecture whose header names a map of its weights."""
    publisher, _, family = read_header(file_of(name)).weights.partition("_")
    if publisher != "torchvision":
        return None
    return family if family in torchvision.models.list_models() else name


def rules_of(name: str) -> tuple[Rule, ...]:
    """The map of an architecture's names to those of its twin."""
    rules = map_of(str(twin_of(name)), "torchvision")
    assert rules is not None
    return rules


def empty_model(model: str) -> nn.Module:
    """torchvision's model as it is made, without drawing weights where that takes long."""
    draws = model.startswith(("vgg", "googlenet", "inception"))
    options: dict[str, Any] = {"init_weights": False} if draws else {}
    made: nn.Module = torchvision.models.get_model(model, weights=None, **options)
    return made


def random_model(model: str) -> nn.Module:
    """torchvision's model with random weights, in which every layer counts."""
    torch.manual_seed(0)
    made = empty_model(model)
    for module in made.modules():
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
    return made


def with_weights(plan: Plan, state: Mapping[str, Tensor]) -> Network:
    """Our network with these weights, which it shares, and copies of the running averages."""
    net = build(plan, device="meta")
    net.load_state_dict(state, strict=True, assign=True)
    for module in net.modules():
        for name, tensor in module.named_buffers(recurse=False):
            module.register_buffer(name, tensor.clone())
    return net.requires_grad_()


def with_versions(state: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same with what another state_dict says of versions: MNASNet asks for its own."""
    found = OrderedDict(state)
    found._metadata = other._metadata  # type: ignore[attr-defined]  # torch's own attribute
    return found


def outputs(net: nn.Module, images: Tensor) -> list[Tensor]:
    """Logits, and those of the heads in the order in which they stand in the network."""
    found = net(images)
    if isinstance(found, Tensor):
        return [found]
    if isinstance(net, Network):
        return [found[0], *found[1]]
    return [found.logits, *reversed(found[1:])]  # GoogLeNet's second head comes first


def run(net: nn.Module, images: Tensor, *, seed: int = 1) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Outputs, and the gradient of a loss that has all of them in it; `seed` is for dropout."""
    net.zero_grad(set_to_none=True)
    torch.manual_seed(seed)
    found = outputs(net, images)
    losses = [each.log_softmax(dim=1)[:, 3].mean() for each in found]
    torch.autograd.backward(-torch.stack(losses).sum())
    gradients = {k: p.grad for k, p in net.named_parameters() if p.grad is not None}
    return [each.detach() for each in found], gradients


def differing(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> list[str]:
    """Names whose tensors are not equal bit for bit, or that only one has."""
    return sorted(
        name
        for name in one.keys() | other.keys()
        if name not in one or name not in other or not torch.equal(one[name], other[name])
    )
