"""The optimizers: torch's own, fused (one kernel for all parameters, on CPU and CUDA).

Conventions, all torch's: momentum is `v <- momentum * v + g; w <- w - lr * v` (the learning rate is
outside of v, and the fresh v is used); weight decay adds `weight_decay * w` to g, which is the
gradient of `weight_decay / 2 * |w|^2`. A text that penalises `lambda * |w|^2` means
`weight_decay = 2 * lambda`. In AdamW the decay is decoupled: `w <- w - lr * weight_decay * w`.

The learning rate is set anew before every step by the training loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from cnntrain.core.errors import ConfigError
from cnntrain.optim.groups import ParameterGroup


def sgd(
    groups: Sequence[ParameterGroup],
    *,
    lr: float,
    momentum: float = 0.0,
    nesterov: bool = False,
) -> Optimizer:
    """Stochastic gradient descent, with momentum (Polyak 1964) or Nesterov's.

    Args:
        groups: from `parameter_groups`; each carries its weight decay.
        lr: learning rate.
        momentum: share of v that is kept in each step.
        nesterov: step along `g + momentum * v` (Sutskever et al. 2013).
    """
    if nesterov and momentum == 0.0:
        raise ConfigError("nesterov needs a momentum", remedy="set momentum: 0.9, say")
    optimizer = torch.optim.SGD(
        cast(ParamsT, groups), lr=lr, momentum=momentum, nesterov=nesterov, fused=True
    )
    if momentum:
        # torch leaves the first buffer uninitialised when the fused kernel skips the first step
        # (a float16 overflow); starting from zeros, v <- momentum * 0 + g gives the same numbers.
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter.detach())
    return optimizer


def adam(
    groups: Sequence[ParameterGroup],
    *,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> Optimizer:
    """Adam (Kingma and Ba 2015); weight decay, if any, is added to the gradient.

    Args:
        groups: from `parameter_groups`; each carries its weight decay.
        lr: learning rate.
        betas: shares kept of the running means of g and g^2.
        eps: added to the root of the mean of g^2.
    """
    return torch.optim.Adam(cast(ParamsT, groups), lr=lr, betas=betas, eps=eps, fused=True)


def adamw(
    groups: Sequence[ParameterGroup],
    *,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> Optimizer:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    Args:
        groups: from `parameter_groups`; each carries its weight decay.
        lr: learning rate.
        betas: shares kept of the running means of g and g^2.
        eps: added to the root of the mean of g^2.
    """
    return torch.optim.AdamW(cast(ParamsT, groups), lr=lr, betas=betas, eps=eps, fused=True)


def set_learning_rate(optimizer: Optimizer, lr: float) -> None:
    """Give every group `lr` times its own `lr_factor`."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_factor"]


def anchored_weights(optimizer: Optimizer) -> dict[str, Tensor]:
    """A copy of each parameter that decays towards its starting point, by name (see `groups`)."""
    return {
        name: parameter.detach().clone()
        for group in optimizer.param_groups
        if group["anchored"]
        for name, parameter in zip(group["param_names"], group["params"], strict=True)
    }


def decayed_weights(optimizer: Optimizer) -> list[Tensor]:
    """The parameters that decay: not biases and norms (see `groups`), what L1 also applies to."""
    return [
        parameter
        for group in optimizer.param_groups
        if group["decayed"]
        for parameter in group["params"]
    ]
