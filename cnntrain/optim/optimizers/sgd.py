"""Stochastic gradient descent: torch's, fused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch.optim.optimizer import ParamsT

from cnntrain.core.choices import ChoiceError
from cnntrain.core.kinds import BelowOne
from cnntrain.optim import optimizer
from cnntrain.optim.groups import ParameterGroup, merged


@optimizer("sgd")
def sgd(
    *, groups: Sequence[ParameterGroup], momentum: BelowOne = 0.9, nesterov: bool = False
) -> torch.optim.SGD:
    """Stochastic gradient descent: v <- momentum v + g; w <- w - lr v.

    Polyak, "Some methods of speeding up the convergence of iteration methods", 1964. Nesterov's
    step is w <- w - lr (g + momentum v): Sutskever et al., "On the importance of initialization and
    momentum in deep learning", 2013.

    Args:
        momentum: Share of the velocity that each step keeps.
        nesterov: Take the gradient's step ahead of the velocity's (Nesterov).
    """
    if nesterov and momentum == 0.0:
        raise ChoiceError("nesterov", "nesterov needs a momentum above 0; set momentum: 0.9")
    made = torch.optim.SGD(
        cast(ParamsT, merged(groups)), momentum=momentum, nesterov=nesterov, fused=True
    )
    if momentum:
        # torch leaves the first buffer uninitialised when the fused kernel skips the first step
        # (a float16 overflow); starting from zeros, v <- momentum * 0 + g gives the same numbers.
        for group in made.param_groups:
            for parameter in group["params"]:
                made.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter.detach())
    return made
