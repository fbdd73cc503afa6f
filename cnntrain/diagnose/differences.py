"""Derivatives by finite differences, in float64, beside those of the backward pass.

`(L(w + h) - L(w - h)) / 2h`, for several h. A wrong backward pass is wrong for every h. What is
wrong for some h only is not held against the network: a kink of a rectifier or of max pooling
between w - h and w + h goes away with h, rounding grows as h shrinks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

STEPS = (1e-5, 1e-6, 1e-7, 1e-4, 1e-8, 1e-3, 1e-9, 1e-10)
"""h, as shares of the typical weight of the tensor; tried in this order until one agrees.

Gradients that explode need the last ones: a hundred plain layers with batch normalisation amplify a
change of the first weights a million times, and larger steps cross kinks.
"""

AGREES = 1e-5
"""Relative error below which no other h is tried."""

WRONG = 1e-2
"""Relative error above which a derivative is wrong, where the differences are sure."""

_ROUNDING = 1e-14
"""Relative rounding error of a loss in float64, after some thousand additions."""


@dataclass(frozen=True)
class Difference:
    """One weight's derivative, computed twice.

    Args:
        parameter: the tensor's name.
        index: the weight's place in it, flattened.
        backward: from the backward pass.
        numeric: the finite difference that comes nearest to it.
        error: of the one to the other, relative to the larger, or to a thousandth of the tensor's
            largest derivative, or to a hundred times the rounding error.
        is_wrong: the differences of several h agree with each other, and not with `backward`.
    """

    parameter: str
    index: int
    backward: float
    numeric: float
    error: float
    is_wrong: bool


def compare_derivatives(
    loss: Callable[[], Tensor],
    parameters: Sequence[tuple[str, nn.Parameter]],
    *,
    per_tensor: int,
    seed: int = 0,
) -> Iterator[Difference]:
    """Check some weights of each tensor; the tensors get their values back.

    Args:
        loss: 0-d float64, the same each time it is called with the same weights.
        parameters: by name, float64.
        per_tensor: weights of each tensor: the one with the largest derivative, others by chance.
        seed: of chance.
    """
    generator = torch.Generator().manual_seed(seed)
    for _, parameter in parameters:
        parameter.grad = None
    value = loss()
    value.backward()  # type: ignore[no-untyped-call]  # torch's gap
    rounding = _ROUNDING * max(1.0, abs(float(value.detach())))
    for name, parameter in parameters:
        if parameter.grad is None:
            continue
        gradient = parameter.grad.detach().flatten().cpu()
        drawn = torch.randint(gradient.numel(), (per_tensor - 1,), generator=generator).tolist()
        places = dict.fromkeys([int(gradient.abs().argmax()), *drawn])
        largest = float(gradient.abs().max())
        for index in places:
            yield _compare(
                loss,
                (name, parameter),
                index,
                backward=float(gradient[index]),
                floor=1e-3 * largest,
                rounding=rounding,
            )


def _compare(
    loss: Callable[[], Tensor],
    named: tuple[str, nn.Parameter],
    index: int,
    *,
    backward: float,
    floor: float,
    rounding: float,
) -> Difference:
    name, parameter = named
    scale = max(float(parameter.detach().square().mean().sqrt()), 1e-3)
    found: list[tuple[float, float]] = []
    for share in STEPS:
        step = share * scale
        numeric = _central_difference(loss, parameter, index, step)
        size = max(abs(numeric), abs(backward), floor, 100 * rounding / step)
        found.append((abs(numeric - backward) / size, numeric))
        if found[-1][0] < AGREES:
            break
    error, numeric = min(found)
    return Difference(
        name, index, backward, numeric, error, error > WRONG and _are_sure(found, backward)
    )


def _are_sure(found: Sequence[tuple[float, float]], backward: float) -> bool:
    """Whether at least two of the differences are much nearer to each other than to `backward`."""
    values = sorted(numeric for _, numeric in found)
    return any(
        abs(b - a) < 0.1 * min(abs(a - backward), abs(b - backward)) for a, b in pairwise(values)
    )


@torch.no_grad()
def _central_difference(
    loss: Callable[[], Tensor], parameter: nn.Parameter, index: int, step: float
) -> float:
    flat = parameter.view(-1)
    kept = flat[index].clone()
    flat[index] = kept + step
    above = float(loss())
    flat[index] = kept - step
    below = float(loss())
    flat[index] = kept
    return (above - below) / (2 * step)
