"""One layer tried on the meta device: its shape and its counts, without its memory."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from cnntrain.arch.build import build_inside, construct
from cnntrain.arch.counting import MultiplyAdds
from cnntrain.arch.expand import Node
from cnntrain.arch.network import Graph, Shape
from cnntrain.arch.plan import PlannedList, flat
from cnntrain.arch.saved_tensors import Keeps, Watch
from cnntrain.arch.shape_errors import misfit
from cnntrain.core.errors import ConfigError

_BATCH = 61
"""Images in the meta run. A prime, so that the size of a tensor tells whether it grows with them;
more than one, for batch normalisation refuses one value per channel."""

_FAILURES = (
    *(ValueError, RuntimeError, TypeError, LookupError, ArithmeticError, AssertionError),
    *(AttributeError, NameError),
)
"""What constructors and `forward` raise when something does not fit; the last two in plugins."""

Nested = Mapping[str, PlannedList | Mapping[str, PlannedList]]


@dataclass(frozen=True)
class DryRun:
    """What came out.

    `inside` tells under which dotted name the module keeps each nested list; `own` are the modules
    with parameters that are in no nested list, by dotted name, with the names of their classes.
    """

    module: nn.Module
    out_shape: Shape
    parameters: int
    buffers: int
    multiply_adds: int
    inside: Mapping[str, str]
    own: Mapping[str, str]
    keeps: Keeps


@dataclass
class Trials:
    """Layers that were tried; those with the same parameters and inputs are tried once."""

    counter: MultiplyAdds
    known: dict[Hashable, DryRun] = field(default_factory=dict)

    def of(
        self, node: Node, keywords: Mapping[str, Any], inputs: tuple[Shape, ...], nested: Nested
    ) -> DryRun:
        """Construct a layer and run it, under the meta device, or remember it from before.

        Raises:
            ConfigError: at its line: its parameters or its input do not fit.
        """
        key = (
            node.operation,
            repr(sorted(keywords.items())),
            inputs,
            tuple((name, _content(each)) for name, each in flat(nested)),
        )
        if key not in self.known:
            self.known[key] = self._try(node, keywords, inputs, nested)
        return self.known[key]

    def _try(
        self, node: Node, keywords: Mapping[str, Any], inputs: tuple[Shape, ...], nested: Nested
    ) -> DryRun:
        before = self.counter.total
        modules = build_inside(nested)
        module, watch = None, Watch()
        try:
            module = construct(node, keywords, modules)
            reads = [_read(shape) for shape in inputs]
            with watch.on(dict(flat(modules))):
                output = module(*reads)
        except _FAILURES as error:
            raise ConfigError.of([misfit(node, inputs, error, module)]) from error
        if not isinstance(output, Tensor) or output.shape[:1] != (_BATCH,):
            message = f"'{node.operation}' does not return one tensor of shape (N, ...)"
            raise ConfigError.of([node.problem(message, "correct its forward")])
        inside = _names_inside(node, module, modules)
        return DryRun(
            module,
            tuple(output.shape[1:]),
            sum(parameter.numel() for parameter in module.parameters()),
            sum(buffer.numel() for buffer in module.buffers()),
            (self.counter.total - before) // _BATCH,
            inside,
            _own_modules(module, inside),
            watch.result(module, inputs=reads, output=output, batch=_BATCH),
        )


def _read(shape: Shape) -> Tensor:
    """What a layer reads: not the first of its graph, so that a layer may work on it in place."""
    return torch.empty(_BATCH, *shape, requires_grad=True).clone()


def _content(planned: PlannedList) -> Hashable:
    """All that the behaviour of a list of layers depends on."""
    return tuple(
        (
            node.name,
            node.node.sources,
            node.node.operation,
            repr(sorted(node.keywords.items())),
            node.in_shapes,
            tuple((name, _content(each)) for name, each in node.lists),
        )
        for node in planned.nodes
    )


def _names_inside(
    node: Node, module: nn.Module, modules: Mapping[str, Graph | Mapping[str, Graph]]
) -> dict[str, str]:
    """Under which dotted names a layer keeps its nested lists: `paths.one` -> `paths.one`."""
    names = {id(child): name for name, child in module.named_modules()}
    found = {}
    for key, graph in flat(modules):
        if id(graph) not in names:
            message = f"'{node.operation}' does not keep its '{key}' as a module"
            remedy = "assign it to self in the constructor (several: in an nn.ModuleDict)"
            raise ConfigError.of([node.problem(message, remedy)])
        found[key] = names[id(graph)]
    return found


def _own_modules(module: nn.Module, inside: Mapping[str, str]) -> dict[str, str]:
    """Modules of a layer with lists in it that are in none of them: a residual's projection."""
    lists = tuple(inside.values())
    if not lists or "" in lists:
        return {}
    return {
        name: type(child).__name__
        for name, child in module.named_modules()
        if name and any(True for _ in child.parameters(recurse=False))
        if not any(name == each or name.startswith(f"{each}.") for each in lists)
    }
