"""Multiply-adds of whatever runs, by the formulas of torch's counter."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload, OpOverloadPacket
from torch.utils._python_dispatch import TorchDispatchMode

from cnntrain.arch.outlines import outline

aten = torch.ops.aten


class MultiplyAdds(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's class
    """Counts while it is entered: convolutions and matrix products; the rest counts nothing.

    torch's `FlopCounterMode` gives the same numbers; it also watches every module and imports
    torch's compiler, which together take longer than planning a network.
    """

    total = 0
    """Multiply-adds so far; a FLOP count is twice that."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No compiler has to look away: nothing is compiled in here."""
        return False

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operation, or what it is composed of where torch has no formula for it."""
        kwargs = kwargs or {}
        output = outline(func, args, kwargs)
        formula = _formula(func)
        if formula is None and output is None:
            with self:
                composed = func.decompose(*args, **kwargs)
            return func(*args, **kwargs) if composed is NotImplemented else composed
        if output is None:
            output = func(*args, **kwargs)
        if formula is not None:
            self.total += formula(args, kwargs, output)
        return output


Formula = Callable[[Sequence[Any], Mapping[str, Any], Any], int]


def _formula(func: OpOverload) -> Formula | None:
    """What counts an operation; None for one that counts nothing."""
    if "attention" not in str(func):
        return _FORMULAS.get(func.overloadpacket)
    # here, not above: it imports triton, a compiler
    from torch.utils.flop_counter import flop_registry

    theirs = flop_registry.get(func.overloadpacket)
    if theirs is None:
        return None
    return lambda args, kwargs, output: theirs(*args, **kwargs, out_val=output) // 2


def _of_convolution(args: Sequence[Any], _: Mapping[str, Any], output: Tensor) -> int:
    """Each number of the smaller maps meets each weight of its group once."""
    images, weight, is_transposed = args[0], args[1], args[6]
    places = (images if is_transposed else output).shape[2:]
    return int(images.shape[0] * math.prod(places) * weight.numel())


def _of_product(args: Sequence[Any], _: Mapping[str, Any], output: Tensor) -> int:
    """Of matrices, or of batches of them; the first of three is added to it."""
    return int(output.numel() * args[-2].shape[-1])


_FORMULAS: Mapping[OpOverloadPacket, Formula] = {
    aten.convolution: _of_convolution,
    aten._convolution: _of_convolution,
    aten.mm: _of_product,
    aten.addmm: _of_product,
    aten.bmm: _of_product,
    aten.baddbmm: _of_product,
}
