"""What several heads give, in one row."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnntrain.layers import layer


@layer("outputs", affine="plain", inputs="many")
class Outputs(nn.Module):
    """Several outputs in one row: each is flattened, one behind the other, in the order of `from`.

    What an architecture with `heads:` ends in; see docs/tasks.md.

    Shape: (N, *shape1), (N, *shape2), ... -> (N, F1 + F2 + ...), where F are their products.
    """

    def forward(self, *inputs: Tensor) -> Tensor:
        """(N, *shape1), (N, *shape2), ... -> (N, F1 + F2 + ...)."""
        return torch.cat([each.flatten(1) for each in inputs], dim=1)
