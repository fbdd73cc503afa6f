"""The empty results of the commonest operations on meta tensors, by their shapes alone.

torch's answers are the same. But it computes them in Python, and the first of them in a process
imports its compiler and a library of algebra: 1.5 s, more than all else that planning takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch._ops import OpOverload

aten = torch.ops.aten

Sizes: TypeAlias = Sequence[int]

POINTWISE = frozenset(
    {
        *(aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor),
        *(aten.add.Scalar, aten.pow.Tensor_Scalar, aten.abs.default, aten.sqrt.default),
        *(aten.relu.default, aten.tanh.default, aten.sigmoid.default, aten.silu.default),
        *(aten.hardtanh.default, aten.hardswish.default, aten.hardsigmoid.default),
        *(aten.gelu.default, aten.maximum.default, aten.clamp_min.default, aten.exp.default),
    }
)
IN_PLACE = frozenset({aten.add_.Tensor, aten.mul_.Tensor, aten.div_.Tensor, aten.div_.Scalar})


def outline(func: OpOverload, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The empty result of an operation on meta tensors of float32; None: ask torch.

    What does not fit is left to torch, which says why.
    """
    if func in IN_PLACE and args[0].is_meta:
        return _in_place(*args)
    given = args[0] if func is aten.cat.default else args
    tensors = [value for value in given if isinstance(value, Tensor) and not _is_number(value)]
    if not tensors or not all(t.is_meta and t.dtype == torch.float32 for t in tensors):
        return None
    if func in POINTWISE:
        return _pointwise(tensors)
    rule = _RULES.get(func)
    return None if rule is None or kwargs else rule(*args)


def _is_number(value: Tensor) -> bool:
    """A number of Python's, as torch hands it on: on the CPU, and without effect on the type."""
    return value.dim() == 0 and not value.is_meta


def _in_place(changed: Tensor, other: Tensor | float) -> Tensor | None:
    if not isinstance(other, Tensor):
        return changed if changed.is_floating_point() or isinstance(other, int) else None
    return changed if (other.dtype, other.shape) == (changed.dtype, changed.shape) else None


def _pointwise(tensors: Sequence[Tensor]) -> Tensor | None:
    try:
        return tensors[0].new_empty(np.broadcast_shapes(*(tensor.shape for tensor in tensors)))
    except ValueError:  # they do not fit
        return None


def _convolution(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    transposed: bool,
    _output_padding: Sizes,
    groups: int,
) -> Tensor | None:
    maps, inside, *kernel = weight.shape
    channels = images.shape[1:2] == (inside * groups,) and maps % groups == 0
    biased = bias is None or bias.shape == (maps,)
    if transposed or not channels or not biased or images.dim() != weight.dim():
        return None
    sides = _windows(images.shape[2:], kernel, stride, padding, dilation)
    return None if sides is None else images.new_empty(images.shape[0], maps, *sides)


def _windows(
    sides: Sizes,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    *,
    ceil: bool = False,
) -> list[int] | None:
    """How many windows fit along each side; None where they fit nowhere."""
    if not len(sides) == len(kernel) == len(stride) == len(padding) == len(dilation):
        return None
    found = []
    for side, size, step, pad, gap in zip(sides, kernel, stride, padding, dilation, strict=True):
        free = side + 2 * pad - gap * (size - 1) - 1
        count = (math.ceil(free / step) if ceil else free // step) + 1
        if ceil and (count - 1) * step >= side + pad:  # a window must begin in the image
            count -= 1
        if free < 0 or count < 1:
            return None
        found.append(count)
    return found


def _pooled(
    images: Tensor,
    kernel: Sizes,
    stride: Sizes = (),
    padding: Sizes = (0,),
    dilation: Sizes = (1,),
    *,
    ceil: bool = False,
) -> Tensor | None:
    sides = images.shape[2:]
    each = (kernel, stride or kernel, padding, dilation)
    kernel, stride, padding, dilation = (
        tuple(one) * (len(sides) if len(one) == 1 else 1) for one in each
    )
    fits = all(2 * pad <= size for pad, size in zip(padding, kernel, strict=False))
    count = _windows(sides, kernel, stride, padding, dilation, ceil=ceil) if fits else None
    return None if count is None else images.new_empty(*images.shape[:2], *count)


def _max_pool(
    images: Tensor,
    kernel: Sizes,
    stride: Sizes = (),
    padding: Sizes = (0,),
    dilation: Sizes = (1,),
    ceil: bool = False,
) -> tuple[Tensor, Tensor] | None:
    found = _pooled(images, kernel, stride, padding, dilation, ceil=ceil)
    return None if found is None else (found, found.new_empty(found.shape, dtype=torch.int64))


def _avg_pool(
    images: Tensor,
    kernel: Sizes,
    stride: Sizes = (),
    padding: Sizes = (0,),
    ceil: bool = False,
    _count_include_pad: bool = True,
    divisor: int | None = None,
) -> Tensor | None:
    return None if divisor == 0 else _pooled(images, kernel, stride, padding, ceil=ceil)


def _adaptive_avg_pool(images: Tensor, sides: Sizes) -> Tensor | None:
    return images.new_empty(*images.shape[:2], *sides) if images.dim() == 4 else None


def _batch_norm(
    images: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    _momentum: float,
    _epsilon: float,
) -> tuple[Tensor, Tensor, Tensor] | None:
    channels = images.shape[1:2]
    others = [each for each in (weight, bias, running_mean, running_var) if each is not None]
    if not training or any(each.shape != channels for each in others):
        return None
    return _alike(images), images.new_empty(channels), images.new_empty(channels)


def _layer_norm(
    images: Tensor, over: Sizes, weight: Tensor | None, bias: Tensor | None, _epsilon: float
) -> tuple[Tensor, Tensor, Tensor] | None:
    sides = tuple(over)
    fits = all(each is None or each.shape == sides for each in (weight, bias))
    if not sides or images.shape[-len(sides) :] != sides or not fits:
        return None
    kept = (*images.shape[: -len(sides)], *[1] * len(sides))
    return _alike(images), images.new_empty(kept), images.new_empty(kept)


def _matrix_product(rows: Tensor, columns: Tensor) -> Tensor | None:
    if rows.dim() != 2 or columns.dim() != 2 or rows.shape[1] != columns.shape[0]:
        return None
    return rows.new_empty(rows.shape[0], columns.shape[1])


def _linear(bias: Tensor, rows: Tensor, columns: Tensor) -> Tensor | None:
    return _matrix_product(rows, columns) if bias.shape == columns.shape[1:] else None


def _alike(values: Tensor) -> Tensor:
    return values.new_empty(values.shape)


def _concatenated(tensors: Sequence[Tensor], dim: int = 0) -> Tensor | None:
    """Along the channels."""
    first = tensors[0]
    shapes = {(tensor.shape[0], tensor.shape[2:]) for tensor in tensors}
    if dim != 1 or len(shapes) != 1:
        return None
    stacked = sum(tensor.shape[1] for tensor in tensors)
    return first.new_empty(first.shape[0], stacked, *first.shape[2:])


def _reduced(values: Tensor, dims: Sizes | None, keep: bool = False) -> Tensor | None:
    over = {dim % values.dim() for dim in dims or range(values.dim())}
    sides = [(1 if keep else None) if d in over else s for d, s in enumerate(values.shape)]
    return values.new_empty([side for side in sides if side is not None])


_RULES: Mapping[OpOverload, Callable[..., Any]] = {
    aten.convolution.default: _convolution,
    aten.max_pool2d_with_indices.default: _max_pool,
    aten.avg_pool2d.default: _avg_pool,
    aten.avg_pool3d.default: _avg_pool,
    aten._adaptive_avg_pool2d.default: _adaptive_avg_pool,
    aten.native_batch_norm.default: _batch_norm,
    aten._native_batch_norm_legit.default: _batch_norm,
    aten.native_layer_norm.default: _layer_norm,
    aten.addmm.default: _linear,
    aten.mm.default: _matrix_product,
    aten.cat.default: _concatenated,
    aten.empty_like.default: _alike,
    aten.mean.dim: _reduced,
    aten.sum.dim_IntList: _reduced,
}
