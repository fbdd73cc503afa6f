"""Copies of networks in the state in which checks look at them."""

from __future__ import annotations

import copy
from collections.abc import Iterator

from torch import nn

Norm = nn.modules.batchnorm._BatchNorm


def steady_copy(net: nn.Module) -> nn.Module:
    """A copy that trains without chance: what is random does as in evaluation.

    Batch normalisation uses the batch's own statistics, as in training, and auxiliary heads answer;
    dropout and the like are off. What is marked `frozen` stays in evaluation mode.
    """
    steady = copy.deepcopy(net)
    set_steady(steady)
    return steady


def set_steady(net: nn.Module) -> None:
    """Put a network into the mode of `steady_copy`."""
    frozen = {
        child
        for module in net.modules()
        if getattr(module, "frozen", False)
        for child in module.modules()
    }
    net.eval()
    for module in net.modules():
        module.training = isinstance(module, Norm) and module not in frozen
    net.training = True


def batch_norms(net: nn.Module) -> list[tuple[str, Norm]]:
    """The batch normalisations that keep running statistics, by name."""
    return [
        (name, module)
        for name, module in net.named_modules()
        if isinstance(module, Norm) and module.track_running_stats
    ]


def owners(net: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules that hold parameters of their own, by name, in the order of the network."""
    for name, module in net.named_modules():
        if any(True for _ in module.parameters(recurse=False)):
            yield name, module
