"""The plan of a network: every node run once on the meta device, where nothing is allocated.

The plan has shapes, parameter counts, multiply-adds and receptive fields, and the network is built
from it; so what was checked is what is built. A shape that does not fit is an error at the YAML
line of the layer. The random state is left as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cnntrain.arch.build import construct
from cnntrain.arch.description import Description
from cnntrain.arch.expand import Node, Nodes
from cnntrain.arch.items import INPUT
from cnntrain.arch.network import Shape
from cnntrain.arch.planned import Plan, PlannedList, PlannedNode
from cnntrain.arch.receptive import PIXEL, Field, through, union
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Problem

_BATCH = 2
"""Images in the meta run: batch normalisation refuses one value per channel."""

_FAILURES = (ValueError, RuntimeError, TypeError, LookupError, ArithmeticError, AssertionError)
"""What constructors and `forward` raise when a shape or parameter does not fit."""


def make_plan(description: Description) -> Plan:
    """Run every node once on the meta device.

    Raises:
        ConfigError: at the YAML line of the layer whose parameters or input do not fit, or of the
            last layer if the output is not `(num_classes,)`.
    """
    facts = description.facts
    shape = (facts.image_channels, facts.image_height, facts.image_width)
    counter = FlopCounterMode(display=False)
    with torch.random.fork_rng(devices=[]), torch.device("meta"), torch.no_grad(), counter:
        body = _plan_list(description.nodes, shape, PIXEL, counter)
        by_name = {node.name: node for node in body.nodes}
        aux = []
        for head in description.aux:
            source = by_name[head.source]
            planned = _plan_list(head.nodes, source.out_shape, source.receptive_field, counter)
            aux.append((head.name, head.source, head.weight, planned))
    for planned in (body, *(head for _, _, _, head in aux)):
        _check_output(planned, facts.num_classes)
    return Plan(body, tuple(aux), description)


def _plan_list(
    nodes: Nodes, shape: Shape, seen: Field | None, counter: FlopCounterMode
) -> PlannedList:
    shapes: dict[str, Shape] = {INPUT: shape}
    fields: dict[str, Field | None] = {INPUT: seen}
    planned = []
    for node in nodes:
        if hasattr(nn.Module, node.name) or node.name in ("sources", "in_shape", "out_shape"):
            message = f"the name '{node.name}' is taken by torch"
            raise ConfigError.of([node.problem(message, "choose another name with `as`")])
        inputs = tuple(shapes[source] for source in node.sources)
        reads = union([fields[source] for source in node.sources])
        done = _plan_node(node, inputs, reads, counter)
        shapes[node.name], fields[node.name] = done.out_shape, done.receptive_field
        planned.append(done)
    last = nodes[-1].name if nodes else INPUT
    return PlannedList(tuple(planned), shape, shapes[last], fields[last])


def _plan_node(
    node: Node, inputs: tuple[Shape, ...], seen: Field | None, counter: FlopCounterMode
) -> PlannedNode:
    if node.entry is None:
        body = _plan_list(node.body, inputs[0], seen, counter)
        return PlannedNode(
            node,
            inputs,
            body.out_shape,
            sum(inner.parameters for inner in body.nodes),
            sum(inner.multiply_adds for inner in body.nodes),
            body.receptive_field,
            body=body,
        )
    nested: dict[str, PlannedList | dict[str, PlannedList]] = {}
    for parameter, inside in node.nested.items():
        if isinstance(inside, Mapping):
            named = inside.items()
            nested[parameter] = {k: _plan_list(v, inputs[0], seen, counter) for k, v in named}
        else:
            nested[parameter] = _plan_list(inside, inputs[0], seen, counter)
    keywords = {**node.keywords, **_filled(node, inputs)}
    before = counter.get_total_flops()
    try:
        module = construct(node, keywords, nested)
        images = [torch.empty(_BATCH, *shape) for shape in inputs]
        output = module(*images)
    except _FAILURES as error:
        raise ConfigError.of([_misfit(node, inputs, error)]) from error
    if not isinstance(output, Tensor) or output.shape[:1] != (_BATCH,):
        message = f"'{node.operation}' does not return one tensor of shape (N, ...)"
        raise ConfigError.of([node.problem(message, "correct its forward")])
    out_shape = tuple(output.shape[1:])
    inner = [
        each.receptive_field for _, each in PlannedNode(node, (), (), 0, 0, None, {}, nested).lists
    ]
    same_size = out_shape[1:] == inputs[0][1:]
    return PlannedNode(
        node,
        inputs,
        out_shape,
        sum(p.numel() for p in module.parameters()),
        (counter.get_total_flops() - before) // (2 * _BATCH),
        union(inner) if inner else through(module, seen, same_size=same_size),
        keywords,
        nested,
    )


def _all_lists(
    nested: Mapping[str, PlannedList | dict[str, PlannedList]],
) -> list[PlannedList]:
    found: list[PlannedList] = []
    for inside in nested.values():
        found += [inside] if isinstance(inside, PlannedList) else inside.values()
    return found


def _filled(node: Node, inputs: tuple[Shape, ...]) -> dict[str, Any]:
    """The parameters that follow from the shape of what a layer reads."""
    assert node.entry is not None
    many = node.entry.options.get("inputs") == "many"
    shape = inputs[0]
    filled: dict[str, Any] = {}
    for name in node.entry.filled:
        if name == "in_shape":
            filled[name] = inputs if many else shape
        elif name == "in_channels":
            filled[name] = shape[0]
            if len(shape) != 3:
                message = f"'{node.operation}' reads maps (C, H, W), but gets {_said(shape)}"
                remedy = "put it above the layer that makes the maps flat"
                raise ConfigError.of([node.problem(message, remedy)])
        else:
            filled[name] = shape[0]
            if len(shape) != 1:
                message = f"'{node.operation}' reads a flat vector, but gets {_said(shape)}"
                remedy = "put `- flatten` or `- global_avg_pool` above it"
                raise ConfigError.of([node.problem(message, remedy)])
    return filled


def _check_output(planned: PlannedList, num_classes: int | None) -> None:
    if num_classes is None or planned.out_shape == (num_classes,):
        return
    last = planned.nodes[-1].node
    shape = planned.out_shape
    if len(shape) == 1:
        message = f"the network gives {shape[0]} outputs, but the data have {num_classes} classes"
        remedy = "end with `- linear: {out: $num_classes}`"
    else:
        message = f"the network ends in {_said(shape)}, not in one number per class"
        remedy = "end with `- flatten` and `- linear: {out: $num_classes}`"
    raise ConfigError.of([last.problem(message, remedy)])


def _misfit(node: Node, inputs: Sequence[Shape], error: Exception) -> Problem:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    reason, _, remedy = reason.partition("; ")
    reads = " and ".join(_said(shape) for shape in inputs)
    message = f"'{node.name}' ({node.operation}) cannot read {reads}: {reason}"
    if not remedy:
        where = " and ".join(node.sources)
        remedy = f"change its parameters, or those of what it reads ({where})"
    return node.problem(message, remedy)


def _said(shape: Shape) -> str:
    if len(shape) == 3:
        return f"{shape[0]} maps of {shape[1]}x{shape[2]}"
    return f"{shape[0]} numbers" if len(shape) == 1 else f"shape {tuple(shape)}"
