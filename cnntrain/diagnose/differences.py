"""Derivatives by finite differences, in float64, beside those of the backward pass.

`(L(w + h) - L(w - h)) / 2h`, for several h. A wrong backward pass is wrong for every h. What is
wrong for some h only is not held against the network: a kink of a rectifier or of max pooling
between w - h and w + h goes away with h, rounding grows as h shrinks. Nor is it where the slopes on
both sides of w differ as much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose.modules import is_of_others
from cnntrain.tasks.criterion import Criterion
from cnntrain.train.briefly import steady_copy

STEPS = (1e-5, 1e-6, 1e-7, 1e-4, 1e-8, 1e-3, 1e-9, 1e-10)
"""h, as shares of the typical weight of the tensor; tried in this order until one agrees.

Gradients that explode need the last ones: a hundred plain layers with batch normalisation amplify a
change of the first weights a million times, and larger steps cross kinks.
"""

_SMALL = 1e-6
"""Steps below this share are left out where rounding would hide the derivative."""

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
        is_wrong: `numeric` is the same from both sides of the weight and for another h, and is not
            `backward`.
    """

    parameter: str
    index: int
    backward: float
    numeric: float
    error: float
    is_wrong: bool


def compare(
    net: nn.Module, batch: Batch, *, criterion: Criterion, weights: int, seed: int = 0
) -> list[Difference] | str:
    """The comparison on a float64 copy; a sentence where the network does not run in float64."""
    exact, batch = in_float64(net, batch, seed=seed)
    aux = tuple(getattr(net, "aux_weights", ()))

    def loss() -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            output = exact(batch.images)
        logits, heads = output if isinstance(output, tuple) else (output, ())
        total = criterion(logits, batch.targets)
        for weight, head in zip(aux if heads else (), heads, strict=True):
            total = total + weight * criterion(head, batch.targets)
        return total

    try:
        value = loss()
    except RuntimeError as error:  # a layer of the user's that knows float32 only
        return str(error).partition("\n")[0]
    if value.dtype != torch.float64 or not value.isfinite():
        return "its loss is not finite" if value.dtype == torch.float64 else "it rounds to float32"
    named = list(exact.named_parameters())
    if len(named) > weights:
        named = [named[i * len(named) // weights] for i in range(weights)]
    per_tensor = max(1, min(6, weights // max(1, len(named))))
    return list(compare_derivatives(loss, named, per_tensor=per_tensor, seed=seed))


def in_float64(net: nn.Module, batch: Batch, *, seed: int) -> tuple[nn.Module, Batch]:
    """A copy, all of it trainable, and images, both moved a little off special places.

    On the CPU where the device has no float64 (Apple's).
    """
    device = torch.device("cpu") if batch.images.is_mps else batch.images.device
    exact = steady_copy(net).to(device).double().to(memory_format=torch.contiguous_format)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in exact.parameters():
            parameter.requires_grad_(True)
            size = max(float(parameter.square().mean().sqrt()), 0.1)
            parameter.add_(_normal(parameter, generator), alpha=0.01 * size)
        images = batch.images.to(device).double().contiguous()
        images = images + 0.01 * _normal(images, generator)
    _as_in_training(exact, images)
    targets = batch.targets.to(device)
    if targets.is_floating_point():  # some losses refuse outputs and targets of two types
        targets = targets.double()
    return exact, Batch(images, targets)


@torch.no_grad()
def _as_in_training(net: nn.Module, images: Tensor) -> None:
    """Let modules of others compute as in training, where that needs no chance.

    What a layer of cnntrain's does in training is known, and done by a steady copy.
    """
    given: dict[nn.Module, tuple[object, ...]] = {}

    def look(module: nn.Module, inputs: tuple[object, ...]) -> None:
        given[module] = inputs

    # a network that does not run in float64 is reported by whoever compares
    with ExitStack() as hooks, suppress(RuntimeError):
        for module in net.modules():
            if is_of_others(module):
                hooks.callback(module.register_forward_pre_hook(look).remove)
        net(images)
    for module, inputs in given.items():
        module.training = True
        if not _is_steady(module, inputs):
            module.training = False


def _is_steady(module: nn.Module, inputs: Sequence[object]) -> bool:
    """Whether it gives the same whatever chance does."""
    outputs = []
    # what knows float32 only, or one image at a time, stays as in evaluation
    with torch.random.fork_rng(devices=[]), suppress(RuntimeError):
        for seed in (0, 1):
            torch.manual_seed(seed)
            outputs.append(module(*inputs))
    first, second = outputs if len(outputs) == 2 else (None, None)
    return isinstance(first, Tensor) and isinstance(second, Tensor) and torch.equal(first, second)


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like.device)


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
    there = float(value.detach())
    for name, parameter in parameters:
        if parameter.grad is None:
            continue
        gradient = parameter.grad.detach().flatten().cpu()
        drawn = torch.randint(gradient.numel(), (per_tensor - 1,), generator=generator).tolist()
        largest = int(gradient.abs().argmax())
        floor = 1e-3 * abs(float(gradient[largest]))
        for index in dict.fromkeys([largest, *drawn]):
            yield _compare(
                loss,
                there,
                (name, parameter),
                index,
                backward=float(gradient[index]),
                floor=floor,
            )


def _compare(
    loss: Callable[[], Tensor],
    there: float,
    named: tuple[str, nn.Parameter],
    index: int,
    *,
    backward: float,
    floor: float,
) -> Difference:
    name, parameter = named
    rounding = _ROUNDING * max(1.0, abs(there))
    scale = max(float(parameter.detach().square().mean().sqrt()), 1e-3)
    found: list[tuple[float, float]] = []
    sure: list[float] = []
    for share in STEPS:
        step = share * scale
        noise = 100 * rounding / step
        if share < _SMALL and noise > WRONG * max(abs(backward), floor):
            continue
        above, below = _beside(loss, parameter, index, step)
        numeric = (above - below) / (2 * step)
        off = abs(numeric - backward)
        found.append((off / max(abs(numeric), abs(backward), floor, noise), numeric))
        if abs((above - there) - (there - below)) / step < 0.1 * off:
            sure.append(numeric)
        if found[-1][0] < AGREES:
            break
    error, numeric = min(found)
    is_wrong = error > WRONG and numeric in sure and _do_agree(sure, backward)
    return Difference(name, index, backward, numeric, error, is_wrong)


def _do_agree(sure: Sequence[float], backward: float) -> bool:
    """Whether at least two of the differences are much nearer to each other than to `backward`."""
    return any(
        abs(b - a) < 0.1 * min(abs(a - backward), abs(b - backward))
        for a, b in pairwise(sorted(sure))
    )


@torch.no_grad()
def _beside(
    loss: Callable[[], Tensor], parameter: nn.Parameter, index: int, step: float
) -> tuple[float, float]:
    """The loss a step above the weight, and a step below."""
    flat = parameter.view(-1)
    kept = flat[index].clone()
    flat[index] = kept + step
    above = float(loss())
    flat[index] = kept - step
    below = float(loss())
    flat[index] = kept
    return above, below
