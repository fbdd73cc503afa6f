"""The plan of a network: every node run on the meta device, where nothing is allocated.

The plan has shapes, parameter counts, multiply-adds and receptive fields, and the network is built
from it; so what was checked is what is built. A shape that does not fit is an error at the YAML
line of the layer. Of equal nodes only one is run. The random state is left as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from cnntrain.arch.counting import MultiplyAdds
from cnntrain.arch.description import Description
from cnntrain.arch.dry_run import Trials
from cnntrain.arch.expand import Node, Nodes
from cnntrain.arch.items import INPUT
from cnntrain.arch.network import Network, Shape
from cnntrain.arch.plan import Plan, PlannedList, PlannedNode
from cnntrain.arch.receptive import PIXEL, Field, path_beside, through, union
from cnntrain.arch.shape_errors import check_output, filled
from cnntrain.core.errors import ConfigError
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.protocol import Task

_TAKEN = frozenset(dir(Network({}, sources={}, in_shape=(), out_shape=(), aux={})))
"""Attributes of a network; a layer of the same name would hide one."""


def make_plan(description: Description, *, task: Task = CLASSIFICATION) -> Plan:
    """Run every node once on the meta device.

    Args:
        description: of the network.
        task: what its output must suit.

    Raises:
        ConfigError: at the YAML line of the layer whose parameters or input do not fit, or of the
            last layer if the output does not suit the task.
    """
    facts = description.facts
    shape = (facts.image_channels, facts.image_height, facts.image_width)
    counter = MultiplyAdds()  # type: ignore[no-untyped-call]  # torch's constructor
    trials = Trials(counter)
    with torch.random.fork_rng(devices=[]), torch.device("meta"), torch.enable_grad(), counter:
        body = _plan_list(description.nodes, shape, PIXEL, trials)
        by_name = {node.name: node for node in body.nodes}
        aux = []
        for head in description.aux:
            source = by_name[head.source]
            if head.name in _TAKEN:
                problem = description.report.problem((*head.path, "as"), *_taken(head.name))
                raise ConfigError.of([problem])
            planned = _plan_list(head.nodes, source.out_shape, source.receptive_field, trials)
            aux.append((head.name, head.source, head.weight, planned))
    check_output("the network", body, description, task)
    for name, _, _, planned in aux:
        check_output(f"the head '{name}'", planned, description, task)
    return Plan(body, tuple(aux), description)


def _plan_list(nodes: Nodes, shape: Shape, seen: Field | None, trials: Trials) -> PlannedList:
    shapes: dict[str, Shape] = {INPUT: shape}
    fields: dict[str, Field | None] = {INPUT: seen}
    planned = []
    for node in nodes:
        if node.name in _TAKEN:
            raise ConfigError.of([node.problem(*_taken(node.name))])
        inputs = tuple(shapes[source] for source in node.sources)
        reads = union([fields[source] for source in node.sources])
        done = _plan_node(node, inputs, reads, trials)
        shapes[node.name], fields[node.name] = done.out_shape, done.receptive_field
        planned.append(done)
    last = nodes[-1].name if nodes else INPUT
    return PlannedList(tuple(planned), shape, shapes[last], fields[last])


def _plan_node(
    node: Node, inputs: tuple[Shape, ...], seen: Field | None, trials: Trials
) -> PlannedNode:
    if node.entry is None:
        body = _plan_list(node.body, inputs[0], seen, trials)
        return PlannedNode(
            node,
            inputs,
            body.out_shape,
            sum(inner.parameters for inner in body.nodes),
            sum(inner.buffers for inner in body.nodes),
            sum(inner.multiply_adds for inner in body.nodes),
            body.receptive_field,
            body=body,
        )
    nested = _plan_nested(node, inputs[0], seen, trials)
    keywords = {**node.keywords, **filled(node, inputs)}
    tried = trials.of(node, keywords, inputs, nested)
    planned = PlannedNode(
        node,
        inputs,
        tried.out_shape,
        tried.parameters,
        tried.buffers,
        tried.multiply_adds,
        None,
        keywords,
        nested,
        tried.inside,
        tried.own,
        tried.keeps,
    )
    fields = [each.receptive_field for _, each in planned.lists]
    same_size = tried.out_shape[1:] == inputs[0][1:]
    if beside := path_beside(tried.module, nested):
        fields.append(through(beside, seen, same_size=same_size))
    seen = union(fields) if fields else through(tried.module, seen, same_size=same_size)
    return replace(planned, receptive_field=seen)


def _plan_nested(
    node: Node, shape: Shape, seen: Field | None, trials: Trials
) -> dict[str, PlannedList | dict[str, PlannedList]]:
    """A layer's nested lists; each reads what the layer reads."""
    nested: dict[str, PlannedList | dict[str, PlannedList]] = {}
    for parameter, inside in node.nested.items():
        if isinstance(inside, Mapping):
            named = inside.items()
            nested[parameter] = {key: _plan_list(v, shape, seen, trials) for key, v in named}
        else:
            nested[parameter] = _plan_list(inside, shape, seen, trials)
    return nested


def _taken(name: str) -> tuple[str, str]:
    message = f"the name '{name}' is taken: every network has an attribute of that name"
    return message, "choose another name with `as`"
