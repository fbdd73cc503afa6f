"""LeNet's activation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnntrain.layers import layer


@layer("scaled_tanh")
class ScaledTanh(nn.Module):
    """Scaled hyperbolic tangent: 1.7159 tanh(2 x / 3).

    It is an odd function with f(1) = 1 and f(-1) = -1, whose curvature is largest there, so that
    targets of +1 and -1 lie well inside of its range. LeCun et al., "Gradient-Based Learning
    Applied to Document Recognition", 1998, equation 6 and appendix A.

    Shape: any -> the same.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return 1.7159 * torch.tanh(x * (2 / 3))
