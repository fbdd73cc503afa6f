"""Fully connected layer."""

from __future__ import annotations

from torch import nn

from cnntrain.core.kinds import Positive
from cnntrain.layers import layer


@layer("linear", affine="mixes")
def linear(*, in_features: int, out: Positive, bias: bool = True) -> nn.Linear:
    """Fully connected layer: y = W x + b.

    Shape: (N, F) -> (N, out). Maps need a `flatten` or a global pooling above.

    Args:
        out: number of outputs.
        bias: whether each output has a learned offset b.
    """
    return nn.Linear(in_features, out, bias=bias)
