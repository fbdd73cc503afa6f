"""From a plan to the modules themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from cnntrain.arch.naming import named_as, named_by
from cnntrain.arch.network import Graph, Network
from cnntrain.arch.plan import Plan, PlannedList, PlannedNode
from cnntrain.layers import LAYERS
from cnntrain.layers.named import Named


def build(plan: Plan, *, device: torch.device | str = "cpu") -> Network:
    """The network, with torch's own initial values; random numbers come from torch's state."""
    with torch.device(device):
        layers = _modules(plan.body)
        aux = {name: (source, weight, build_list(head)) for name, source, weight, head in plan.aux}
        net = Network(layers, plan.body, aux=aux)
    net.operations = {name: node.node.operation for name, node in plan.walk()}
    return net


def build_list(planned: PlannedList) -> Graph:
    """The module of a list of layers."""
    return Graph(_modules(planned), planned)


def construct(
    operation: str,
    keywords: Mapping[str, Any],
    inside: Mapping[str, nn.Module],
    named: Named | None = None,
) -> nn.Module:
    """One layer's module.

    Args:
        operation: its registered name.
        keywords: its parameters, with those that follow from the input's shape.
        inside: the modules of its nested lists, by the keys of `Node.nested`.
        named: the layer above that it names, if it does.

    Raises:
        TypeError: the registered function returns no module.
    """
    nested: dict[str, Any] = {} if named is None else {"named": named}
    for key, graph in inside.items():
        parameter, is_named, name = key.partition(".")
        if is_named:
            nested.setdefault(parameter, {})[name] = graph
        else:
            nested[parameter] = graph
    module = LAYERS.load(operation)(**keywords, **nested)
    if not isinstance(module, nn.Module):
        raise TypeError(f"it made {type(module).__name__}, no nn.Module; return the module")
    return module


def _modules(planned: PlannedList) -> dict[str, nn.Module]:
    modules: dict[str, nn.Module] = {}
    for node in planned.nodes:
        above = named_by(node.node, planned.nodes)
        named = None if above is None else named_as(above, modules[above.name])
        modules[node.name] = _module(node, named)
    return modules


def _module(planned: PlannedNode, named: Named | None) -> nn.Module:
    inside = {key: build_list(each) for key, each in planned.nested.items()}
    if planned.node.entry is None:
        return inside[""]
    return construct(planned.node.operation, planned.keywords, inside, named)
