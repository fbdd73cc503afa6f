"""Where a training that diverged lost its numbers: the layer that makes them infinite or NaN."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose.report import Finding
from cnntrain.tasks.criterion import Criterion
from cnntrain.train.finite import tensors_of

MODERATE = 1e6
"""Values up to which a layer that gives infinite ones, or NaN, is to blame; larger ones it may only
have passed on."""


def lost_numbers(net: nn.Module, batch: Batch, criterion: Criterion) -> Finding | None:
    """Find the layer that reads moderate numbers, and gives such as are not finite.

    Args:
        net: in the mode and with the weights of the step that went wrong; it is not changed.
        batch: of that step.
        criterion: the loss.
    """
    forward: list[str] = []
    backward: list[str] = []

    def look(name: str, _module: nn.Module, given: Any, output: Any) -> None:
        if _is_moderate(tensors_of(given)) and not _is_finite(tensors_of(output)):
            forward.append(name)

    def look_back(name: str, _module: nn.Module, gives: Any, given: Any) -> None:
        if _is_moderate(tensors_of(given)) and not _is_finite(tensors_of(gives)):
            backward.append(name)

    images = batch.images.detach().clone().requires_grad_(True)
    with ExitStack() as hooks, torch.random.fork_rng(devices=[]), torch.enable_grad():
        for name, module in net.named_modules():
            if name and not any(module.children()):
                hooks.callback(module.register_forward_hook(partial(look, name)).remove)
                back = module.register_full_backward_hook(partial(look_back, name))
                hooks.callback(back.remove)
        try:
            output = net(images)
            answer = output[0] if isinstance(output, tuple) else output
            loss = criterion(answer, batch.targets)
            (slope,) = torch.autograd.grad(loss, answer, retain_graph=True)
            is_lost = not _is_finite([loss, slope])
            if not is_lost:
                torch.autograd.grad(answer, images, slope)
        except RuntimeError:  # a layer that changes its input in place, or has no gradient
            return None
    if forward:
        return _finding(net, forward[0], "output")
    if is_lost and _is_moderate([answer]):
        return _finding(net, "", "gradient" if loss.isfinite() else "value")
    return _finding(net, backward[0], "gradient") if backward else None


def _finding(net: nn.Module, name: str, what: str) -> Finding:
    """`name` is empty for the loss."""
    of = f"'{name}' ({type(net.get_submodule(name)).__name__})" if name else "the loss"
    return Finding(
        "not_finite",
        f"the {what} of {of} is not finite, though what it reads is",
        "in the step in which training diverges",
        "look for a division, a root or a logarithm in it that meets 0: add a small number to what "
        "is divided by, or stands below the root (the slope of a root is infinite at 0)",
        follows=("wrong_gradient",) if what == "gradient" else (),
        layers=(name,) if name else (),
    )


def _is_finite(tensors: Sequence[Tensor]) -> bool:
    return all(bool(each.isfinite().all()) for each in tensors)


def _is_moderate(tensors: Sequence[Tensor]) -> bool:
    return all(bool((each.abs() < MODERATE).all()) for each in tensors)
