"""What checks look at in a network: its layers with parameters, its normalisations, its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from cnntrain.core.plugins import is_of_plugin
from cnntrain.data.batch import Batch
from cnntrain.train.briefly import Norm

Missed = Callable[[Tensor, Tensor], Tensor]
"""Which images are wrong, by outputs and targets; see the task's `missed`."""


def batch_norms(net: nn.Module) -> list[tuple[str, Norm]]:
    """The batch normalisations that keep running statistics, by name."""
    return [
        (name, module)
        for name, module in net.named_modules()
        if isinstance(module, Norm) and module.track_running_stats
    ]


def owners(net: nn.Module) -> Iterator[tuple[str, list[nn.Parameter]]]:
    """The modules that hold parameters of their own, by name, in the order of the network."""
    for name, module in net.named_modules():
        if own := list(module.parameters(recurse=False)):
            yield name, own


@torch.no_grad()
def logits_of(net: nn.Module, batches: Sequence[Batch]) -> tuple[Tensor, Tensor]:
    """Outputs `(N, classes)` and targets of all images, in the modes that the modules are in."""
    outputs, targets = [], []
    for images, classes in batches:
        output = net(images)
        outputs.append((output[0] if isinstance(output, tuple) else output).float())
        targets.append(classes)
    return torch.cat(outputs), torch.cat(targets)


def is_random(net: nn.Module) -> bool:
    """Whether a module other than batch normalisation does something else in training."""
    kinds = {type(module).__name__ for module in net.modules()}
    named = any("dropout" in kind.lower() for kind in kinds)
    others = {"DropConnect", "StochasticDepth", "GaussianNoise", "MaskingNoise"}
    return named or not kinds.isdisjoint(others)


def is_of_others(thing: object) -> bool:
    """Whether its class is neither torch's nor cnntrain's own, as is a plugin's."""
    module = type(thing).__module__
    return is_of_plugin(module) or not module.startswith(("torch.", "cnntrain."))
