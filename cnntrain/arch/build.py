"""From a plan to the modules themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from cnntrain.arch.expand import Node
from cnntrain.arch.network import Graph, Network
from cnntrain.arch.plan import Plan, PlannedList
from cnntrain.layers import LAYERS


def build(plan: Plan, *, device: torch.device | str = "cpu") -> Network:
    """The network, with torch's own initial values; random numbers come from torch's state."""
    with torch.device(device):
        layers, sources = _build_nodes(plan.body)
        aux = {name: (source, weight, _build_list(head)) for name, source, weight, head in plan.aux}
        net = Network(
            layers,
            sources=sources,
            in_shape=plan.body.in_shape,
            out_shape=plan.body.out_shape,
            aux=aux,
        )
    net.operations = {name: node.node.operation for name, node in plan.walk()}
    return net


def build_inside(
    nested: Mapping[str, PlannedList | Mapping[str, PlannedList]],
) -> dict[str, Graph | dict[str, Graph]]:
    """The modules of a layer's nested lists, by parameter."""
    return {
        parameter: _build_list(each)
        if isinstance(each, PlannedList)
        else {key: _build_list(inner) for key, inner in each.items()}
        for parameter, each in nested.items()
    }


def construct(
    node: Node, keywords: Mapping[str, Any], inside: Mapping[str, Graph | dict[str, Graph]]
) -> nn.Module:
    """One layer's module.

    Args:
        node: the layer.
        keywords: its parameters, with those that follow from the input's shape.
        inside: the modules of its nested lists, by parameter.

    Raises:
        TypeError: the registered function returns no module.
    """
    module = LAYERS.load(node.operation)(**keywords, **inside)
    if not isinstance(module, nn.Module):
        raise TypeError(f"it made {type(module).__name__}, no nn.Module; return the module")
    return module


def _build_nodes(
    planned: PlannedList,
) -> tuple[dict[str, nn.Module], dict[str, tuple[str, ...]]]:
    layers = {
        inner.name: _build_list(inner.body)
        if inner.body is not None
        else construct(inner.node, inner.keywords, build_inside(inner.nested))
        for inner in planned.nodes
    }
    return layers, {inner.name: inner.node.sources for inner in planned.nodes}


def _build_list(planned: PlannedList) -> Graph:
    layers, sources = _build_nodes(planned)
    return Graph(layers, sources=sources, in_shape=planned.in_shape, out_shape=planned.out_shape)
