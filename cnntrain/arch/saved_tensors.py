"""What one layer's forward pass leaves in memory for its backward pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Keeps:
    """The tensors that autograd saves, by whose they are; each piece of memory counts once.

    Args:
        inputs: numbers of the inputs that it keeps.
        lists: nested lists of layers whose output it keeps, by dotted name.
        output: whether it keeps its own output.
        per_image: bytes of all else, for each image of the batch: masks, indices, intermediates.
        once: bytes of all else, for the batch as a whole: a batch norm's statistics.
        passes: the number of the input, or the name of the list, whose memory its output is: a
            view, or worked on in place; None for memory of its own.
    """

    inputs: frozenset[int] = frozenset()
    lists: frozenset[str] = frozenset()
    output: bool = False
    per_image: int = 0
    once: int = 0
    passes: int | str | None = None


@dataclass
class Watch:
    """Notes what autograd saves while a layer runs, but not what is saved inside its lists."""

    saved: list[Tensor] = field(default_factory=list)
    outputs: dict[str, Tensor] = field(default_factory=dict)
    depth: int = 0

    @contextmanager
    def on(self, graphs: Mapping[str, nn.Module]) -> Iterator[None]:
        """Watch during the `with` block; `graphs` are the nested lists by dotted name."""
        with ExitStack() as stack:
            for name, graph in graphs.items():
                stack.callback(graph.register_forward_pre_hook(self._enter).remove)
                stack.callback(graph.register_forward_hook(self._leave(name)).remove)
            stack.enter_context(torch.autograd.graph.saved_tensors_hooks(self._note, _same))
            yield

    def result(
        self, module: nn.Module, *, inputs: Sequence[Tensor], output: Tensor, batch: int
    ) -> Keeps:
        """What was kept of a batch of `batch` images, a prime number that nothing else is."""
        fixed = {_memory(tensor) for tensor in (*module.parameters(), *module.buffers())}
        kept = {_memory(tensor): tensor for tensor in self.saved}
        readable = {_memory(tensor): number for number, tensor in enumerate(inputs)}
        listed = {_memory(tensor): name for name, tensor in self.outputs.items()}
        own = _memory(output)
        sizes = [
            tensor.untyped_storage().nbytes()
            for memory, tensor in kept.items()
            if memory != own and not any(memory in each for each in (fixed, readable, listed))
        ]
        return Keeps(
            inputs=frozenset(readable[memory] for memory in kept if memory in readable),
            lists=frozenset(listed[memory] for memory in kept if memory in listed),
            output=own in kept,
            per_image=sum(size // batch for size in sizes if size % batch == 0),
            once=sum(size for size in sizes if size % batch),
            passes=listed.get(own, readable.get(own)),
        )

    def _enter(self, _module: nn.Module, _inputs: Any) -> None:
        self.depth += 1

    def _leave(self, name: str) -> Any:
        def leave(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            self.depth -= 1
            self.outputs[name] = output

        return leave

    def _note(self, tensor: Tensor) -> Tensor:
        if self.depth == 0:
            self.saved.append(tensor)
        return tensor


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _memory(tensor: Tensor) -> int:
    """Tells one piece of memory from another while both are in use."""
    return int(tensor.untyped_storage()._cdata)
