"""What checks look at in a network: its layers with parameters, its normalisations, its answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from cnntrain.data.batch import Batch
from cnntrain.train.briefly import Norm


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
