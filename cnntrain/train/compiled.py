"""A network that is compiled once."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn


class Compiled(nn.Module):
    """Runs a network compiled by torch.compile, for the largest batches it is given.

    Smaller ones, such as the last of an epoch, go through the network as it is: for another size
    torch would compile everything again, for as long as the first time.

    Args:
        net: whose weights are used; it is called with images `(N, ...)`.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.plain = net
        self.fast = cast(nn.Module, torch.compile(net, dynamic=False))
        self._largest = 0

    def forward(self, images: Tensor) -> object:
        """What the network answers."""
        if len(images) < self._largest:
            return self.plain(images)
        self._largest = len(images)
        return self.fast(images)
