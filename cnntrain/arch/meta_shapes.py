"""What the commonest operations give on the meta device, known without asking torch.

torch's own answer is the same, but on the meta device it is computed in Python, and the first such
operation of a process imports torch's compiler for it: 0.7 s, half of the time of a summary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

aten = torch.ops.aten

POINTWISE = frozenset(
    {
        *(aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor),
        *(aten.add.Scalar, aten.pow.Tensor_Scalar, aten.abs.default, aten.sqrt.default),
        *(aten.relu.default, aten.tanh.default, aten.sigmoid.default),
    }
)


def outline(func: OpOverload, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The empty result of one operation on meta tensors of float32; None: ask torch."""
    given = args[0] if func is aten.cat.default else args
    tensors = [value for value in given if isinstance(value, Tensor) and not _is_number(value)]
    if not tensors or not all(t.is_meta and t.dtype == torch.float32 for t in tensors):
        return None
    first = tensors[0]
    if func in POINTWISE:
        common = _broadcast([tensor.shape for tensor in tensors])
        return None if common is None else first.new_empty(common)
    if func is aten._native_batch_norm_legit.default and _has_channels(tensors):
        statistics = [first.new_empty(first.shape[1]) for _ in ("mean", "variance")]
        return torch.empty_like(first), *statistics
    if func is aten.addmm.default and _fits(tensors):  # a linear layer
        return first.new_empty(tensors[1].shape[0], tensors[2].shape[1])
    if func is aten.cat.default and _stacks(tensors, args[1:]):
        channels = sum(tensor.shape[1] for tensor in tensors)
        return first.new_empty(first.shape[0], channels, *first.shape[2:])
    if func is aten.mean.dim and not kwargs:
        over = {dim % first.dim() for dim in args[1]}
        kept = 1 if len(args) > 2 and args[2] else None
        sides = [kept if dim in over else side for dim, side in enumerate(first.shape)]
        return first.new_empty([side for side in sides if side is not None])
    return None


def _is_number(value: Tensor) -> bool:
    """A number of Python's, as torch hands it on: on the CPU, and without effect on the type."""
    return value.dim() == 0 and not value.is_meta


def _broadcast(shapes: Sequence[Sequence[int]]) -> list[int] | None:
    """The common shape: sides are matched from the last, and a side of 1 fits any."""
    common = []
    for sides in zip_longest(*(reversed(shape) for shape in shapes), fillvalue=1):
        different = set(sides) - {1}
        if len(different) > 1:
            return None
        common.append(different.pop() if different else 1)
    return common[::-1]


def _fits(tensors: Sequence[Tensor]) -> bool:
    bias, rows, columns = tensors
    return rows.shape[1] == columns.shape[0] and bias.shape == columns.shape[1:]


def _has_channels(tensors: Sequence[Tensor]) -> bool:
    images, *values = tensors
    return all(tensor.shape == images.shape[1:2] for tensor in values)


def _stacks(tensors: Sequence[Tensor], dim: Sequence[int]) -> bool:
    """Whether it is a concatenation along the channels of maps that fit."""
    shapes = {(tensor.dim(), tensor.shape[0], *tensor.shape[2:]) for tensor in tensors}
    return tuple(dim) == (1,) and len(shapes) == 1
