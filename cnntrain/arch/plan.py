"""A plan as data: what the meta run found, ready to be built, printed or stored."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cnntrain.arch.description import Description
from cnntrain.arch.expand import Node
from cnntrain.arch.network import Shape
from cnntrain.arch.receptive import Field


@dataclass(frozen=True)
class Keeps:
    """The tensors that autograd saves, by whose they are; each piece of memory counts once.

    Args:
        inputs: numbers of the inputs that it keeps.
        lists: nested lists of layers whose output it keeps, by their keys.
        output: whether it keeps its own output.
        per_image: bytes of all else, for each image of the batch: masks, indices, intermediates.
        once: bytes of all else, for the batch as a whole: a batch norm's statistics.
        passes: the number of the input, or the key of the list, whose memory its output is: a
            view, or worked on in place; None for memory of its own.
    """

    inputs: frozenset[int] = frozenset()
    lists: frozenset[str] = frozenset()
    output: bool = False
    per_image: int = 0
    once: int = 0
    passes: int | str | None = None


@dataclass(frozen=True)
class PlannedNode:
    """A node with what the meta run found. Counts include what is nested in it.

    Attributes:
        key: equal for nodes that do the same.
        multiply_adds: of one image and one forward pass.
        receptive_field: None where a layer does not state its window.
        keywords: the parameters, with those that follow from the input.
        nested: the lists inside it, by the keys of `Node.nested`.
        inside: under which dotted name the module keeps each nested list: `body`, `paths.one`, or
            nothing if the module is that list.
        own: modules with parameters outside of the nested lists (a residual's projection), by
            dotted name, with the names of their classes.
        keeps: what its forward pass leaves in memory.
    """

    node: Node
    key: Hashable
    in_shapes: tuple[Shape, ...]
    out_shape: Shape
    parameters: int
    buffers: int
    multiply_adds: int
    keeps: Keeps
    receptive_field: Field | None = None
    keywords: Mapping[str, Any] = field(default_factory=dict)
    nested: Mapping[str, PlannedList] = field(default_factory=dict)
    inside: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name in its list."""
        return self.node.name

    @property
    def lists(self) -> Iterator[tuple[str, PlannedList]]:
        """The lists inside it, with the part of the dotted name that leads there."""
        for key, each in self.nested.items():
            yield self.inside[key], each


@dataclass(frozen=True)
class PlannedList:
    """A list of layers with its shapes."""

    nodes: tuple[PlannedNode, ...]
    in_shape: Shape
    out_shape: Shape
    receptive_field: Field | None = None

    @property
    def parameters(self) -> int:
        """Trained numbers."""
        return sum(node.parameters for node in self.nodes)

    @property
    def buffers(self) -> int:
        """Numbers that are stored with the weights but not trained, such as running statistics."""
        return sum(node.buffers for node in self.nodes)

    @property
    def multiply_adds(self) -> int:
        """Of one image's forward pass."""
        return sum(node.multiply_adds for node in self.nodes)

    def walk(self, prefix: str = "") -> Iterator[tuple[str, PlannedNode]]:
        """Every node with its dotted name, outer ones before what is in them."""
        for node in self.nodes:
            name = dotted_name(prefix, node.name)
            yield name, node
            for inside, each in node.lists:
                yield from each.walk(dotted_name(name, inside))


@dataclass(frozen=True)
class Plan:
    """A whole network, checked and ready to be built.

    `aux` has name, source, weight and layers of each auxiliary head.
    """

    body: PlannedList
    aux: tuple[tuple[str, str, float, PlannedList], ...]
    description: Description

    @property
    def parameters(self) -> int:
        """Trainable parameters, auxiliary heads included."""
        return self.body.parameters + sum(head.parameters for *_, head in self.aux)

    @property
    def buffers(self) -> int:
        """Numbers that are stored but not trained, auxiliary heads included."""
        return self.body.buffers + sum(head.buffers for *_, head in self.aux)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one image's forward pass in evaluation (without auxiliary heads)."""
        return self.body.multiply_adds

    def walk(self) -> Iterator[tuple[str, PlannedNode]]:
        """Every node with its dotted name, outer ones before what is in them."""
        yield from self.body.walk()
        for name, _, _, head in self.aux:
            yield from head.walk(name)


def dotted_name(outer: str, inner: str) -> str:
    """`outer.inner`; either may be empty."""
    return ".".join(filter(None, (outer, inner)))
