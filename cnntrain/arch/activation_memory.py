"""Memory of the activations: what the forward pass of training leaves for the backward pass."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from cnntrain.arch.items import INPUT
from cnntrain.arch.plan import Keeps, Plan, PlannedList, PlannedNode, dotted_name
from cnntrain.layers.named import Named

FLOAT32 = 4
"""Bytes of a number."""


@dataclass(frozen=True)
class Saved:
    """What autograd saved while a layer ran, and the outputs of its nested lists."""

    tensors: list[Tensor] = field(default_factory=list)
    outputs: dict[str, Tensor] = field(default_factory=dict)


@contextmanager
def saved_tensors(lists: Mapping[str, nn.Module]) -> Iterator[Saved]:
    """Note what autograd saves meanwhile, but not what is saved inside the lists.

    The hooks stay on the lists: they were made for this one run.
    """
    saved = Saved()
    names = {graph: name for name, graph in lists.items()}
    inside: list[nn.Module] = []

    def enter(graph: nn.Module, _inputs: object) -> None:
        inside.append(graph)

    def leave(graph: nn.Module, _inputs: object, output: Tensor) -> None:
        saved.outputs[names[inside.pop()]] = output

    def note(tensor: Tensor) -> Tensor:
        if not inside:
            saved.tensors.append(tensor)
        return tensor

    for graph in names:
        graph.register_forward_pre_hook(enter)
        graph.register_forward_hook(leave)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        yield saved


def keeps(
    saved: Saved,
    module: nn.Module,
    named: Named | None,
    *,
    inputs: Sequence[Tensor],
    output: Tensor,
    batch: int,
) -> Keeps:
    """What a layer kept of a batch of `batch` images, a prime number that nothing else is.

    The weights, its own and those of a layer that it names, are not kept for it.
    """
    modules = [module] if named is None else [module, named.module]
    weights = (tensor for each in modules for tensor in (*each.parameters(), *each.buffers()))
    fixed = {_memory(tensor) for tensor in weights}
    kept = {_memory(tensor): tensor for tensor in saved.tensors}
    readable = {_memory(tensor): number for number, tensor in enumerate(inputs)}
    listed = {_memory(tensor): name for name, tensor in saved.outputs.items()}
    own = _memory(output)
    known = {*fixed, *readable, *listed, own}
    sizes = [kept[memory].untyped_storage().nbytes() for memory in kept if memory not in known]
    return Keeps(
        inputs=frozenset(readable[memory] for memory in kept if memory in readable),
        lists=frozenset(listed[memory] for memory in kept if memory in listed),
        output=own in kept,
        per_image=sum(size // batch for size in sizes if size % batch == 0),
        once=sum(size for size in sizes if size % batch),
        passes=listed.get(own, readable.get(own)),
    )


def _memory(tensor: Tensor) -> int:
    """What distinguishes one piece of memory from another while both are in use."""
    return int(tensor.untyped_storage()._cdata)


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
    named = ledger.run("", plan.body, _Memory(INPUT, 0, needs_gradient=False))
    for name, source, _, head in plan.aux:
        ledger.run(name, head, named[source])
    return ledger.bytes


class _Ledger:
    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.bytes: Counter[str] = Counter()

    def run(self, prefix: str, planned: PlannedList, given: _Memory) -> dict[str, _Memory]:
        """The memory of every output in a list of layers; under `input` what it was given."""
        named = {INPUT: given}
        for node in planned.nodes:
            reads = [named[source] for source in node.node.sources]
            named[node.name] = self._run_node(dotted_name(prefix, node.name), node, reads)
        return named

    def _run_node(self, name: str, node: PlannedNode, reads: list[_Memory]) -> _Memory:
        ends: dict[str, _Memory] = {}
        for key, each in node.nested.items():
            *_, ends[key] = self.run(dotted_name(name, node.inside[key]), each, reads[0]).values()
        keeps = node.keeps
        needs = node.parameters > 0 or any(memory.needs_gradient for memory in reads)
        if isinstance(keeps.passes, str):
            output = ends[keeps.passes]
        elif keeps.passes is not None:
            output = reads[keeps.passes]
        else:
            output = _Memory(name, FLOAT32 * math.prod(node.out_shape), needs)
        if needs:
            kept = [reads[i] for i in keeps.inputs] + [ends[key] for key in keeps.lists]
            for memory in [*kept, output] if keeps.output else kept:
                if not memory.is_kept:
                    memory.is_kept = True
                    self.bytes[memory.owner] += memory.per_image * self.batch
            self.bytes[name] += keeps.per_image * self.batch + keeps.once
        return output
