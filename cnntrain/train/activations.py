"""What layers give in training's forward passes, kept for the penalties on it.

A forward hook on each layer that a penalty names keeps its output until the penalty is added; the
hooks are there before a network is compiled, so the compiled one has them too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Seen:
    """A layer in one forward pass.

    Args:
        module: the layer.
        follows: the only layer that reads it in its list, if it is directly behind it.
        in_shape: of what it reads, without N.
        output: what it gives, (N, ...), in float32 at least.
    """

    module: nn.Module
    follows: nn.Module | None
    in_shape: tuple[int, ...]
    output: Tensor


class Misplaced(NamedTuple):
    """Why a penalty does not fit a layer, and what to do."""

    reason: str
    remedy: str


def _fits(operation: str, follows: str | None) -> Misplaced | None:
    del operation, follows
    return None


@dataclass(frozen=True, eq=False)
class ActivationPenalty:
    """Something to add to the objective for each of some layers.

    Args:
        layers: their dotted names.
        each: 0-d, of one layer in one forward pass; a mean over its images, so that the parts of a
            batch can be put together, unless its option `whole_batch` says otherwise.
        misplaced: why it does not fit a layer that was made by `operation`, with the operation
            directly behind it; None where it does.
    """

    layers: tuple[str, ...]
    each: Callable[[Seen], Tensor]
    misplaced: Callable[[str, str | None], Misplaced | None] = _fits


class Activations:
    """What penalties need of a network's layers, kept by hooks from now on.

    Args:
        net: its layers are called as in a penalty's `layers`.
        penalties: on them.
    """

    def __init__(self, net: nn.Module, penalties: Sequence[ActivationPenalty]) -> None:
        self._penalties = penalties
        self._kept: dict[str, tuple[torch.Size, Tensor]] = {}
        self._layers: dict[str, tuple[nn.Module, nn.Module | None]] = {}
        for name in dict.fromkeys(name for each in penalties for name in each.layers):
            module, behind = net.get_submodule(name), directly_behind(net, name)
            self._layers[name] = module, None if behind is None else net.get_submodule(behind)
            module.register_forward_hook(_keeper(self._kept, name))

    def penalties(self) -> list[Tensor]:
        """What each penalty comes to in the last forward pass, 0-d; then that is forgotten."""
        seen = {name: self._seen(name) for name in self._kept}
        found = [each.each(seen[name]) for each in self._penalties for name in each.layers]
        self._kept.clear()  # with what the penalties themselves made the layers compute
        return found

    def _seen(self, name: str) -> Seen:
        (module, follows), (shape, output) = self._layers[name], self._kept[name]
        wide = torch.promote_types(output.dtype, torch.float32)
        return Seen(module, follows, tuple(shape[1:]), output.to(wide))


def _keeper(
    kept: dict[str, tuple[torch.Size, Tensor]], name: str
) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    """A hook; a function of its own, so that a copy of the network can be made with it."""

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        del module
        if torch.is_grad_enabled():  # not in an evaluation
            kept[name] = inputs[0].shape, output

    return keep


def directly_behind(net: nn.Module, name: str) -> str | None:
    """The only layer that reads the one called `name`, in the same list of layers."""
    outer, _, own = name.rpartition(".")
    sources: Mapping[str, tuple[str, ...]] = getattr(net.get_submodule(outer), "sources", {})
    readers = [reader for reader, reads in sources.items() if own in reads]
    return ".".join(filter(None, (outer, readers[0]))) if len(readers) == 1 else None
