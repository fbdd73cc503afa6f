"""Multiply-adds of whatever runs, by torch's own formulas for each of its operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

aten = torch.ops.aten

POINTWISE = frozenset(
    {
        *(aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor),
        *(aten.add.Scalar, aten.pow.Tensor_Scalar, aten.abs.default, aten.sqrt.default),
        *(aten.relu.default, aten.tanh.default, aten.sigmoid.default, aten.silu.default),
        *(aten.hardtanh.default, aten.hardswish.default, aten.hardsigmoid.default),
        aten.gelu.default,
    }
)


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
        formula = flop_registry.get(func.overloadpacket)
        if formula is None and output is None:
            with self:
                composed = func.decompose(*args, **kwargs)
            return func(*args, **kwargs) if composed is NotImplemented else composed
        if output is None:
            output = func(*args, **kwargs)
        if formula is not None:
            self.total += formula(*args, **kwargs, out_val=output) // 2
        return output


def outline(func: OpOverload, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The empty result of one of the commonest operations on meta tensors of float32.

    None: ask torch, whose answer is the same. But on the meta device it is computed in Python, and
    the first such operation of a process imports torch's compiler for it: 0.7 s, half of the time
    of a summary.
    """
    given = args[0] if func is aten.cat.default else args
    tensors = [value for value in given if isinstance(value, Tensor) and not _is_number(value)]
    if not tensors or not all(t.is_meta and t.dtype == torch.float32 for t in tensors):
        return None
    first = tensors[0]
    if func in POINTWISE:
        try:
            return first.new_empty(np.broadcast_shapes(*(tensor.shape for tensor in tensors)))
        except ValueError:  # they do not fit
            return None
    if func is aten._native_batch_norm_legit.default:
        channels = first.shape[1:2]
        if all(tensor.shape == channels for tensor in tensors[1:]):
            return torch.empty_like(first), first.new_empty(channels), first.new_empty(channels)
    if func is aten.addmm.default:  # a linear layer
        bias, rows, columns = tensors
        if rows.shape[1] == columns.shape[0] and bias.shape == columns.shape[1:]:
            return first.new_empty(rows.shape[0], columns.shape[1])
    if func is aten.cat.default and tuple(args[1:]) == (1,):  # along the channels
        shapes = {(tensor.shape[0], tensor.shape[2:]) for tensor in tensors}
        if len(shapes) == 1:
            stacked = sum(tensor.shape[1] for tensor in tensors)
            return first.new_empty(first.shape[0], stacked, *first.shape[2:])
    if func is aten.mean.dim and not kwargs:
        over = {dim % first.dim() for dim in args[1]}
        kept = 1 if len(args) > 2 and args[2] else None
        sides = [kept if dim in over else side for dim, side in enumerate(first.shape)]
        return first.new_empty([side for side in sides if side is not None])
    return None


def _is_number(value: Tensor) -> bool:
    """A number of Python's, as torch hands it on: on the CPU, and without effect on the type."""
    return value.dim() == 0 and not value.is_meta
