"""Optimizers whose step is part of a CUDA graph."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import Optimizer

from cnntrain.optim.guarded import GuardedOptimizer


def keep_rates_on_device(optimizer: Optimizer) -> None:
    """From now on every group's learning rate is a 0-d float32 tensor, where the weights are.

    So a step that is captured as a CUDA graph reads the rate of the day. Torch's optimizers that
    ask whether they may be captured (`capturable`) are given leave.
    """
    for group in optimizer.param_groups:
        if not isinstance(group["lr"], Tensor):
            group["lr"] = torch.zeros((), device=group["params"][0].device)
        if "capturable" in group:
            group["capturable"] = True
    # torch warns of steps that are not captured, and the first ones are not
    optimizer._warned_capturable_if_run_uncaptured = True


def why_not_capturable(optimizer: Optimizer, *, is_scaled: bool) -> str | None:
    """Why a step of an optimizer cannot be part of a CUDA graph, in words; None: it can.

    Args:
        optimizer: a fused one of torch's, or a `GuardedOptimizer`: only these are accepted.
        is_scaled: the loss is scaled, for float16.
    """
    if is_scaled and not getattr(optimizer, "_step_supports_amp_scaling", False):
        return (
            "in float16 each of its steps waits for the GPU, to know whether a gradient is finite"
        )
    if isinstance(optimizer, GuardedOptimizer | torch.optim.SGD):
        return None
    asks = all("capturable" in group for group in optimizer.param_groups)
    return None if asks else "it has no `capturable`"
