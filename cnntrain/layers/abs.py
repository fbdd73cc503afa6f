"""Absolute-value rectification."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnntrain.layers import layer


@layer("abs")
class Absolute(nn.Module):
    """Absolute-value rectification: |x|; the derivative at 0 is 0.

    For a feature whose opposite means the same, such as an edge from dark to light and from light
    to dark. Jarrett et al., "What is the Best Multi-Stage Architecture for Object Recognition?",
    2009, section 2.1, R_abs; there it follows a filter bank: `conv`, `tanh`, `gain`, `abs`.

    Shape: any -> the same.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return torch.abs(x)
