"""Pooling across maps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnntrain.core.kinds import Positive
from cnntrain.layers import layer
from cnntrain.layers.shapes import shows


@layer("maxout")
class Maxout(nn.Module):
    """Maxout: the largest of each group of neighbouring maps, pixel by pixel.

    `y[c] = max over j = 0 .. pieces - 1 of x[c pieces + j]`. After a `conv` or `linear` with
    `pieces` times the wanted outputs it is an activation: the maximum of learned linear functions,
    which can be any convex one. Maps that share the maximum share the gradient equally.
    Goodfellow et al., "Maxout Networks", 2013, section 3.

    Shape: (N, C, H, W) -> (N, C / pieces, H, W); flat inputs the same way.

    Args:
        pieces: maps in a group.

    Raises:
        ValueError: pieces does not divide the channels.
    """

    def __init__(self, *, in_channels: int, pieces: Positive = 2) -> None:
        super().__init__()
        if in_channels % pieces:
            raise ValueError(
                f"maxout: pieces {pieces} does not divide the {in_channels} channels; "
                f"give the layer above a multiple of {pieces}, or choose another number of pieces"
            )
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) -> (N, C / pieces, ...)."""
        return torch.unflatten(x, 1, (-1, self.pieces)).amax(dim=2)

    extra_repr = shows("pieces")
