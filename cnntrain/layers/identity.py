"""The layer that does nothing."""

from __future__ import annotations

from torch import nn

from cnntrain.layers import layer


@layer("identity", affine="plain")
def identity() -> nn.Identity:
    """Identity: passes its input on unchanged, e.g. as one path of `branches`.

    Shape: any -> the same.
    """
    return nn.Identity()
