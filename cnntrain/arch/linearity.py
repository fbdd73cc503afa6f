"""Where a network is linear: layers with weights and no activation between them are one matrix.

A layer declares `affine="mixes"` where its output is `A x + b` in evaluation and its weights mix
values (a convolution), `affine="plain"` where they do not (a mean, a normalisation by running
statistics), or where that holds if it holds for the lists inside; `affine="scales"` where it
divides an image's values by a number of that image's. `linear_at={"slope": 1.0}` says near which
value of a parameter an activation is none. Any other layer is an activation.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from cnntrain.arch.items import INPUT
from cnntrain.arch.plan import Plan, PlannedList, PlannedNode, dotted_name

NEARLY = 0.1
"""How far a slope may be from 1 to bend nothing."""


@dataclass(frozen=True)
class MixingLayer:
    """A layer that mixes values, by its dotted name."""

    name: str
    node: PlannedNode


@dataclass(frozen=True)
class Linearity:
    """What of a network is linear.

    Args:
        chains: layers of which each reads the one before it with no activation between, where a
            single layer could do the same; those of one chain are in order.
        whole: all mixing layers, if the whole network is one matrix and a bias; else none.
    """

    chains: tuple[tuple[MixingLayer, ...], ...]
    whole: tuple[MixingLayer, ...] = ()


def linearity_of(plan: Plan) -> Linearity:
    """What of a network is linear, its auxiliary heads apart.

    Left out are factors that mean something: a middle that is narrower than both sides, which
    limits the rank (linear bottlenecks: Sandler et al. 2018; linear autoencoders), 1x1 convolutions
    to fewer maps, convolutions in groups, and kernels of one row or column.
    """
    walk = _Walk()
    end = walk.through_list(plan.body, _Flow(), "", {source for _, source, *_ in plan.aux})
    chains: list[tuple[MixingLayer, ...]] = []
    for first, second in walk.pairs:
        if chains and chains[-1][-1] is first:
            chains[-1] = (*chains[-1], second)
        else:
            chains.append((first, second))
    is_whole = end.is_affine and len(walk.mixing) > 1 and not _limits_rank(walk.mixing, plan)
    return Linearity(tuple(chains), tuple(walk.mixing) if is_whole else ())


@dataclass(frozen=True)
class _Flow:
    """What a value is of the network's input, and the mixing layer whose output it still is."""

    is_affine: bool = True
    last: MixingLayer | None = None


@dataclass
class _Walk:
    pairs: list[tuple[MixingLayer, MixingLayer]] = field(default_factory=list)
    mixing: list[MixingLayer] = field(default_factory=list)

    def through_list(
        self, planned: PlannedList, flow: _Flow, prefix: str, also_read: set[str]
    ) -> _Flow:
        readers = Counter(source for node in planned.nodes for source in node.node.sources)
        readers.update(also_read)
        flows, end = {INPUT: flow}, flow
        for node in planned.nodes:
            # what several layers read is not one layer's to be merged with
            reads = [
                flows[each] if readers[each] == 1 else _Flow(flows[each].is_affine)
                for each in node.node.sources
            ]
            end = flows[node.name] = self._through(node, reads, dotted_name(prefix, node.name))
        return end

    def _through(self, node: PlannedNode, reads: Sequence[_Flow], name: str) -> _Flow:
        affine = _affine(node)
        if "" in node.inside.values():  # the layer is its list
            ((inside, planned),) = node.lists
            return self.through_list(planned, reads[0], dotted_name(name, inside), set())
        if node.nested:
            read = _Flow(reads[0].is_affine)
            reads = [
                self.through_list(planned, read, dotted_name(name, inside), set())
                for inside, planned in node.lists
            ]
        is_affine = affine is not None and all(read.is_affine for read in reads)
        if affine != "mixes":
            is_chain = affine is not None and len(reads) == 1 and not node.nested
            return _Flow(is_affine, reads[0].last if is_chain else None)
        this = MixingLayer(name, node)
        self.mixing.append(this)
        before = reads[0].last
        if before is not None and not _is_factor(before.node, node):
            self.pairs.append((before, this))
        return _Flow(is_affine, this)


def _affine(node: PlannedNode) -> str | None:
    entry = node.node.entry
    if entry is None:
        return "plain"
    near = entry.options.get("linear_at", {})
    given = {each.name: each.default for each in entry.parameters} | dict(node.keywords)
    if near and all(abs(given[name] - value) <= NEARLY for name, value in near.items()):
        return "plain"
    affine: str | None = entry.options.get("affine")
    return affine


def _is_factor(first: PlannedNode, second: PlannedNode) -> bool:
    """Whether the two say something that one layer does not."""
    kernels = [_kernel(node) for node in (first, second)]
    has_groups = any(node.keywords.get("groups", 1) > 1 for node in (first, second))
    if has_groups or any(1 in kernel and kernel != (1, 1) for kernel in kernels):
        return True
    has_maps = len(second.in_shapes[0]) == 3
    if has_maps:
        before, middle, after = first.in_shapes[0][0], first.out_shape[0], second.out_shape[0]
    else:
        before, after = math.prod(first.in_shapes[0]), math.prod(second.out_shape)
        middle = math.prod(second.in_shapes[0])
    is_bottleneck = len(first.out_shape) == 3 and kernels[0] == (1, 1) and middle < before
    return middle < min(before, after) or is_bottleneck


def _kernel(node: PlannedNode) -> tuple[int, int]:
    """Height and width of what it reads at once; of a layer without a window 1."""
    kernel = node.keywords.get("kernel", 1)
    return (kernel, kernel) if isinstance(kernel, int) else (kernel[0], kernel[1])


def _limits_rank(mixing: Sequence[MixingLayer], plan: Plan) -> bool:
    ends = min(math.prod(plan.body.in_shape), math.prod(plan.body.out_shape))
    return min(math.prod(each.node.out_shape) for each in mixing) < ends
