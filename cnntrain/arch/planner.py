"""The plan of a network: every node run on the meta device, where nothing is allocated.

The plan has shapes, parameter counts, multiply-adds and receptive fields, and the network is built
from it; so what was checked is what is built. A shape that does not fit is an error at the YAML
line of the layer. Of equal nodes only one is run. The random state is left as it was.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from cnntrain.arch.activation_memory import keeps, saved_tensors
from cnntrain.arch.build import build_list, construct
from cnntrain.arch.counting import MultiplyAdds
from cnntrain.arch.description import Description
from cnntrain.arch.expand import Node, Nodes
from cnntrain.arch.items import INPUT
from cnntrain.arch.naming import also_reading, named_as, named_by
from cnntrain.arch.network import Network, Shape
from cnntrain.arch.plan import Keeps, Plan, PlannedList, PlannedNode
from cnntrain.arch.receptive import PIXEL, Field, path_beside, through, union
from cnntrain.arch.shape_errors import check_output, check_outputs, filled, misfit
from cnntrain.core.errors import ConfigError
from cnntrain.layers.named import Named
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.protocol import Task

_TAKEN = frozenset(dir(Network({}, PlannedList((), (), ()), aux={})))
"""Attributes of a network; a layer of the same name would hide one."""

_BATCH = 61
"""Images in the meta run. A prime, so that the size of a tensor shows whether it grows with them;
more than one, because batch normalisation refuses one value per channel."""

_FAILURES = (
    *(ValueError, RuntimeError, TypeError, LookupError, ArithmeticError, AssertionError),
    *(AttributeError, NameError),
)
"""What constructors and `forward` raise when something does not fit; the last two in plugins."""


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
    planner = _Planner(counter)
    with torch.random.fork_rng(devices=[]), torch.device("meta"), torch.enable_grad(), counter:
        body = planner.plan_list(description.nodes, shape, PIXEL)
        by_name = {node.name: node for node in body.nodes}
        aux = []
        for head in description.aux:
            source = by_name[head.source]
            if head.name in _TAKEN:
                problem = description.reader.problem((*head.path, "as"), *_taken(head.name))
                raise ConfigError.of([problem])
            planned = planner.plan_list(head.nodes, source.out_shape, source.receptive_field)
            aux.append((head.name, head.source, head.weight, planned))
    check_outputs(body, description, task)
    for name, _, _, planned in aux:
        check_output(f"the head '{name}'", planned, description, task)
    return Plan(body, tuple(aux), description)


class _Planner:
    """Runs layers on the meta device; those with the same parameters and inputs run once."""

    def __init__(self, counter: MultiplyAdds) -> None:
        self.counter = counter
        self.known: dict[Hashable, tuple[nn.Module, PlannedNode]] = {}

    def plan_list(self, nodes: Nodes, shape: Shape, seen: Field | None) -> PlannedList:
        """A list of layers that reads `shape`, whose units see `seen`."""
        shapes: dict[str, Shape] = {INPUT: shape}
        fields: dict[str, Field | None] = {INPUT: seen}
        planned: list[PlannedNode] = []
        for node in nodes:
            if node.name in _TAKEN:
                raise ConfigError.of([node.problem(*_taken(node.name))])
            named = named_by(node, planned)
            reading = node if named is None else also_reading(node, named)
            inputs = tuple(shapes[source] for source in reading.sources)
            seen = union([fields[name] for name in reading.sources])
            done = self._plan_node(reading, inputs, seen, named)
            shapes[node.name], fields[node.name] = done.out_shape, done.receptive_field
            planned.append(done)
        last = nodes[-1].name if nodes else INPUT
        return PlannedList(tuple(planned), shape, shapes[last], fields[last])

    def _plan_node(
        self,
        node: Node,
        inputs: tuple[Shape, ...],
        seen: Field | None,
        above: PlannedNode | None,
    ) -> PlannedNode:
        nested = {key: self.plan_list(each, inputs[0], seen) for key, each in node.nested.items()}
        if node.entry is None:
            return _group(node, inputs, nested)
        keywords = {**node.keywords, **filled(node, inputs)}
        key = _key(node, keywords, inputs, nested), above and above.key
        if key not in self.known:
            named = None if above is None else named_as(above, self.known[above.key][0])
            self.known[key] = self._run(node, key, keywords, inputs, nested, named)
        module, planned = self.known[key]
        same_size = planned.out_shape[1:] == inputs[0][1:]
        fields = [each.receptive_field for each in nested.values()]
        if beside := path_beside(module, nested):
            fields.append(through(beside, seen, same_size=same_size))
        seen = union(fields) if fields else through(module, seen, same_size=same_size)
        return replace(planned, node=node, nested=nested, receptive_field=seen)

    def _run(
        self,
        node: Node,
        key: Hashable,
        keywords: Mapping[str, Any],
        inputs: tuple[Shape, ...],
        nested: Mapping[str, PlannedList],
        named: Named | None,
    ) -> tuple[nn.Module, PlannedNode]:
        """A layer and what it gives, without its receptive field.

        Raises:
            ConfigError: at its line: its parameters or its input do not fit.
        """
        before = self.counter.total
        graphs = {name: build_list(each) for name, each in nested.items()}
        module = None
        try:
            module = construct(node.operation, keywords, graphs, named)
            # Not the first of its graph, so that a layer may work on it in place.
            reads = [torch.empty(_BATCH, *shape, requires_grad=True).clone() for shape in inputs]
            with saved_tensors(graphs) as saved, _uncounted(module):
                output = module(*reads)
        except _FAILURES as error:
            raise ConfigError.of([misfit(node, inputs, error, module)]) from error
        if not isinstance(output, Tensor) or output.shape[:1] != (_BATCH,):
            message = f"'{node.operation}' does not return one tensor of shape (N, ...)"
            raise ConfigError.of([node.problem(message, "correct its forward")])
        inside = _names_inside(node, module, graphs)
        return module, PlannedNode(
            node,
            key,
            inputs,
            tuple(output.shape[1:]),
            sum(parameter.numel() for parameter in module.parameters()),
            sum(buffer.numel() for buffer in module.buffers()),
            (self.counter.total - before) // _BATCH,
            keeps(saved, module, named, inputs=reads, output=output, batch=_BATCH),
            keywords=keywords,
            inside=inside,
            own=_own_modules(module, tuple(inside.values())),
        )


@contextmanager
def _uncounted(module: nn.Module) -> Iterator[None]:
    """Batch normalisation without momentum reads its count of batches, which has no value here."""
    norms = [each for each in module.modules() if isinstance(each, nn.modules.batchnorm._NormBase)]
    counting = [each for each in norms if each.momentum is None]
    for each in counting:
        each.momentum = 0.0
    try:
        yield
    finally:
        for each in counting:
            each.momentum = None


def _group(node: Node, inputs: tuple[Shape, ...], nested: Mapping[str, PlannedList]) -> PlannedNode:
    """A block, or a repeated layer with a name: what its list is."""
    body = nested[""]
    return PlannedNode(
        node,
        _key(node, {}, inputs, nested),
        inputs,
        body.out_shape,
        body.parameters,
        body.buffers,
        body.multiply_adds,
        Keeps(passes=""),
        body.receptive_field,
        nested=nested,
        inside={"": ""},
    )


def _key(
    node: Node,
    keywords: Mapping[str, Any],
    inputs: tuple[Shape, ...],
    nested: Mapping[str, PlannedList],
) -> Hashable:
    """All that the behaviour of a node depends on."""
    inside = (
        (name, tuple((each.name, each.node.sources, each.key) for each in planned.nodes))
        for name, planned in nested.items()
    )
    return node.operation, repr(sorted(keywords.items())), inputs, tuple(inside)


def _names_inside(node: Node, module: nn.Module, graphs: Mapping[str, nn.Module]) -> dict[str, str]:
    """Under which dotted names a layer keeps its nested lists: `paths.one` -> `paths.one`."""
    names = {id(child): name for name, child in module.named_modules()}
    for key, graph in graphs.items():
        if id(graph) not in names:
            message = f"'{node.operation}' does not keep its '{key}' as a module"
            remedy = "assign it to self in the constructor (several: in an nn.ModuleDict)"
            raise ConfigError.of([node.problem(message, remedy)])
    return {key: names[id(graph)] for key, graph in graphs.items()}


def _own_modules(module: nn.Module, lists: tuple[str, ...]) -> dict[str, str]:
    """Modules of a layer with lists in it that are in none of them: a residual's projection."""
    if not lists or "" in lists:
        return {}
    below = tuple(f"{name}." for name in lists)
    return {
        name: type(child).__name__
        for name, child in module.named_modules()
        if name and any(True for _ in child.parameters(recurse=False))
        if not f"{name}.".startswith(below)
    }


def _taken(name: str) -> tuple[str, str]:
    message = f"the name '{name}' is taken: every network has an attribute of that name"
    return message, "choose another name with `as`"
