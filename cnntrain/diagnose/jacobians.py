"""Which layer's backward pass is wrong: each one by itself against finite differences."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from cnntrain.diagnose.differences import WRONG

_STEPS = (1e-6, 1e-5, 1e-4)


@dataclass(frozen=True)
class WrongLayer:
    """A layer whose backward pass is not the derivative of its forward pass.

    Along a direction its outputs change by `backward` says its backward pass, by `numeric` they do.
    """

    name: str
    kind: str
    backward: float
    numeric: float


def wrong_layers(net: nn.Module, images: Tensor, *, seed: int = 0) -> list[WrongLayer]:
    """The innermost layers that pass back a wrong gradient, to their inputs or their parameters.

    Each layer is called alone on the inputs that it gets in the network, moved along a direction by
    chance (whole numbers, such as an embedding's, stay as they are); its outputs are weighted by
    chance. All is float64, and the network's mode without chance.
    """
    inputs: dict[str, tuple[nn.Module, tuple[Tensor, ...]]] = {}

    def look(name: str, module: nn.Module, given: tuple[object, ...]) -> None:
        tensors = tuple(x.detach().clone() for x in given if isinstance(x, Tensor))
        if len(tensors) == len(given):
            inputs[name] = (module, tensors)

    with ExitStack() as hooks, torch.no_grad():
        for name, module in net.named_modules():
            if name:
                hooks.callback(module.register_forward_pre_hook(partial(look, name)).remove)
        net(images)
    generator = torch.Generator().manual_seed(seed)
    checked = [_check(name, *each, generator) for name, each in inputs.items()]
    found = [wrong for wrong in checked if wrong is not None]
    outer = {wrong.name.rpartition(".")[0] for wrong in found}
    return [w for w in found if not any(f"{o}.".startswith(f"{w.name}.") for o in outer)]


def _check(
    name: str, module: nn.Module, given: tuple[Tensor, ...], generator: torch.Generator
) -> WrongLayer | None:
    """Each input and each parameter by itself: a small error is not to hide behind large terms."""
    # A little off their place: values that are exactly 0 stand on a kink of the next rectifier.
    inputs = [
        (x + 0.05 * _drawn(x, generator)).requires_grad_() if x.is_floating_point() else x
        for x in given
    ]
    parameters = (p for p in module.parameters() if p.requires_grad)
    moved = [*(x for x in inputs if x.requires_grad), *parameters]
    with torch.enable_grad():
        output = module(*[x.clone() for x in inputs])
        if not isinstance(output, Tensor) or not output.requires_grad:
            return None
        weights = _drawn(output, generator) / _size(output)
        gradients = torch.autograd.grad((output * weights).sum(), moved, allow_unused=True)

    def value() -> float:
        return float((module(*[x.clone() for x in inputs]) * weights).sum())

    for tensor, gradient in zip(moved, gradients, strict=True):
        direction = _drawn(tensor, generator)
        backward = 0.0 if gradient is None else float((gradient * direction).sum())
        numeric = [_slope(value, tensor, direction, step) for step in _STEPS]
        size = max(abs(backward), *map(abs, numeric), 1e-6)
        is_near = min(abs(n - backward) for n in numeric) <= WRONG * size
        spread = min(abs(a - b) for i, a in enumerate(numeric) for b in numeric[:i])
        if not is_near and spread < WRONG * size:
            return WrongLayer(name, type(module).__name__, backward, numeric[0])
    return None


@torch.no_grad()
def _slope(value: Callable[[], float], tensor: Tensor, direction: Tensor, step: float) -> float:
    kept = tensor.detach().clone()
    tensor.copy_(kept + step * direction)
    above = value()
    tensor.copy_(kept - step * direction)
    below = value()
    tensor.copy_(kept)
    return (above - below) / (2 * step)


def _drawn(like: Tensor, generator: torch.Generator) -> Tensor:
    """A direction by chance, as long as the tensor itself."""
    drawn = torch.randn(like.shape, generator=generator, dtype=like.dtype).to(like.device)
    return drawn * _size(like.detach())


def _size(tensor: Tensor) -> float:
    return max(float(tensor.detach().square().mean().sqrt()), 1e-3)
