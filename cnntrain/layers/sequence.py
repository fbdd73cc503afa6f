"""A list of layers as one layer."""

from __future__ import annotations

from torch import nn

from cnntrain.layers import layer


@layer("sequence", affine="plain")
def sequence(*, layers: nn.Module) -> nn.Module:
    """Sequence: a list of layers under one name, to repeat, tap or freeze them together.

    Shape: that of the first layer's input -> that of the last layer's output.

    Args:
        layers: the layers; each reads the one above.
    """
    return layers
