"""Memory of the activations: what the forward pass of training leaves for the backward pass."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from cnntrain.arch.items import INPUT
from cnntrain.arch.plan import Plan, PlannedList, PlannedNode, flat

FLOAT32 = 4
"""Bytes of a number."""


@dataclass(eq=False)
class _Memory:
    """One piece of memory, the layer that filled it, and whether anyone still needs it."""

    owner: str
    per_image: int
    needs_gradient: bool
    is_kept: bool = False


def activation_bytes(plan: Plan, *, batch: int) -> Counter[str]:
    """Bytes that each layer's forward pass leaves in memory, by its dotted name.

    Counted are the tensors that torch's autograd saves in training in float32, without compilation:
    outputs that some layer needs again, and what layers keep besides (masks, indices of maxima,
    statistics). Each piece of memory counts once, for the layer that filled it, so an output that
    nobody needs again counts nothing. Not counted are the images, the weights, their gradients, the
    loss, and what is needed only for a moment.

    Args:
        plan: of the network; its auxiliary heads count, too.
        batch: images.
    """
    ledger = _Ledger(batch)
    image = _Memory(INPUT, 0, needs_gradient=False)
    named = ledger.run("", plan.body, image)
    for name, source, _, head in plan.aux:
        ledger.run(name, head, named[source])
    for memory in ledger.memories:
        if memory.is_kept:
            ledger.bytes[memory.owner] += memory.per_image * batch
    return ledger.bytes


class _Ledger:
    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.bytes: Counter[str] = Counter()
        self.memories: list[_Memory] = []

    def run(self, prefix: str, planned: PlannedList, given: _Memory) -> dict[str, _Memory]:
        """The memory of every output in a list of layers; under `input` what it was given."""
        named = {INPUT: given}
        for node in planned.nodes:
            name = f"{prefix}.{node.name}" if prefix else node.name
            reads = [named[source] for source in node.node.sources]
            named[node.name] = self._run_node(name, node, reads)
        return named

    def _last(self, prefix: str, planned: PlannedList, given: _Memory) -> _Memory:
        named = self.run(prefix, planned, given)
        return named[planned.nodes[-1].name if planned.nodes else INPUT]

    def _run_node(self, name: str, node: PlannedNode, reads: list[_Memory]) -> _Memory:
        if node.body is not None:
            return self._last(name, node.body, reads[0])
        ends: dict[str, _Memory] = {}
        for key, each in flat(node.nested):
            inside = node.inside[key]
            ends[key] = self._last(f"{name}.{inside}" if inside else name, each, reads[0])
        keeps = node.keeps
        needs = node.parameters > 0 or any(memory.needs_gradient for memory in reads)
        if isinstance(keeps.passes, str):
            output = ends[keeps.passes]
        elif keeps.passes is not None:
            output = reads[keeps.passes]
        else:
            output = _Memory(name, FLOAT32 * math.prod(node.out_shape), needs)
            self.memories.append(output)
        if needs:
            kept = [reads[i] for i in keeps.inputs] + [ends[key] for key in keeps.lists]
            for memory in [*kept, output] if keeps.output else kept:
                memory.is_kept = True
            self.bytes[name] += keeps.per_image * self.batch + keeps.once
        return output
