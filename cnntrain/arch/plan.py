"""A plan as data: what the meta run found, ready to be built, printed or stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cnntrain.arch.description import Description
from cnntrain.arch.expand import Node
from cnntrain.arch.network import Shape
from cnntrain.arch.receptive import Field
from cnntrain.arch.saved_tensors import Keeps


@dataclass(frozen=True)
class PlannedNode:
    """A node with what the meta run found. Counts include what is nested in it.

    `multiply_adds` is for one image and one forward pass; `receptive_field` is None
    where a layer does not tell its window. `inside` tells under which dotted name the module keeps
    a nested list: `body`, `paths.one`, or nothing if the module is that list. `own` are modules
    with parameters outside of the nested lists (a residual's projection), with the names of their
    classes. `keeps` is what its forward pass leaves in memory.
    """

    node: Node
    in_shapes: tuple[Shape, ...]
    out_shape: Shape
    parameters: int
    buffers: int
    multiply_adds: int
    receptive_field: Field | None
    keywords: Mapping[str, Any] = field(default_factory=dict)
    nested: Mapping[str, PlannedList | Mapping[str, PlannedList]] = field(default_factory=dict)
    inside: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, str] = field(default_factory=dict)
    keeps: Keeps = field(default_factory=Keeps)
    body: PlannedList | None = None

    @property
    def name(self) -> str:
        """Its name in its list."""
        return self.node.name

    @property
    def lists(self) -> Iterator[tuple[str, PlannedList]]:
        """The lists inside it, with the part of the dotted name that leads there."""
        if self.body is not None:
            yield "", self.body
        for key, each in flat(self.nested):
            yield self.inside[key], each


T = TypeVar("T")


def flat(nested: Mapping[str, T | Mapping[str, T]]) -> Iterator[tuple[str, T]]:
    """Nested lists with their dotted keys: `body`, `paths.one`."""
    for parameter, inside in nested.items():
        if isinstance(inside, Mapping):
            yield from ((f"{parameter}.{key}", each) for key, each in inside.items())
        else:
            yield parameter, inside


@dataclass(frozen=True)
class PlannedList:
    """A list of layers with its shapes."""

    nodes: tuple[PlannedNode, ...]
    in_shape: Shape
    out_shape: Shape
    receptive_field: Field | None


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
        lists = [self.body, *(head for _, _, _, head in self.aux)]
        return sum(node.parameters for each in lists for node in each.nodes)

    @property
    def buffers(self) -> int:
        """Numbers that are stored with the weights but not trained, such as running statistics."""
        lists = [self.body, *(head for _, _, _, head in self.aux)]
        return sum(node.buffers for each in lists for node in each.nodes)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one image's forward pass in evaluation (without auxiliary heads)."""
        return sum(node.multiply_adds for node in self.body.nodes)

    def walk(self) -> Iterator[tuple[str, PlannedNode]]:
        """Every node with its dotted name, outer ones before what is in them."""
        yield from _walk("", self.body)
        for name, _, _, head in self.aux:
            yield from _walk(name, head)


def _walk(prefix: str, planned: PlannedList) -> Iterator[tuple[str, PlannedNode]]:
    for node in planned.nodes:
        name = f"{prefix}.{node.name}" if prefix else node.name
        yield name, node
        for inside, each in node.lists:
            yield from _walk(f"{name}.{inside}" if inside else name, each)
