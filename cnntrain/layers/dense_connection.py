"""Dense connection."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnntrain.layers import layer
from cnntrain.layers.shapes import require_joinable, shape_out


@layer("dense_connection", affine="plain")
class DenseConnection(nn.Module):
    """Dense connection: the input, and behind it what the body makes of it, concat(x, body(x)).

    Several in a row are a dense block: each body reads the maps of all bodies before it.
    Huang et al., "Densely Connected Convolutional Networks", 2017, equation 2. Not to be confused
    with what some libraries call a dense layer, which is `linear` here.

    Shape: (N, C, ...) -> (N, C + channels of the body, ...).

    Args:
        body: the layers that make the new channels.

    Raises:
        ValueError: the body changes height or width.
    """

    beside = "shortcut"  # reads what the body reads

    def __init__(self, *, in_shape: tuple[int, ...], body: nn.Module) -> None:
        super().__init__()
        shapes = [("the input", in_shape), ("the body", shape_out(body))]
        require_joinable("dense_connection: the two", shapes, "concat")
        self.body = body
        self.shortcut = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) -> (N, C + channels of the body, ...)."""
        return torch.cat([self.shortcut(x), self.body(x)], dim=1)
