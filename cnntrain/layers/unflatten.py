"""From one list of numbers to maps."""

from __future__ import annotations

from math import prod

from torch import nn

from cnntrain.core.kinds import Numbers
from cnntrain.layers import layer


@layer("unflatten", affine="plain")
def unflatten(*, in_features: int, shape: Numbers) -> nn.Unflatten:
    """Unflatten: one row of numbers as maps, the reverse of `flatten`.

    Shape: (N, F) -> (N, *shape), where F is the product of `shape`.

    Args:
        shape: of an image, such as [16, 7, 7]: channels, height, width.

    Raises:
        ValueError: F numbers do not fill the shape.
    """
    if prod(shape) != in_features:
        raise ValueError(
            f"unflatten: {list(shape)} are {prod(shape)} numbers, but it reads {in_features}; "
            f"change the shape, or `out` of the layer above"
        )
    return nn.Unflatten(1, shape)
