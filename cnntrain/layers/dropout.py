"""Dropout."""

from __future__ import annotations

from torch import nn

from cnntrain.core.kinds import Fraction
from cnntrain.layers import layer
from cnntrain.layers.shapes import require_maps


@layer("dropout", affine="plain")
def dropout(*, p: Fraction = 0.5) -> nn.Dropout:
    """Dropout: in training each value is zeroed with probability p.

    The others are multiplied by 1 / (1 - p), so that the mean stays and evaluation passes its
    input on unchanged; the paper instead multiplies by 1 - p in evaluation.
    Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", 2014.

    Shape: any -> the same.

    Args:
        p: probability that a value is zeroed.
    """
    return nn.Dropout(p)


@layer("dropout2d", affine="plain")
def dropout2d(*, in_shape: tuple[int, ...], p: Fraction = 0.5) -> nn.Dropout2d:
    """Channel dropout: in training each whole map is zeroed with probability p.

    Neighbouring pixels are alike, so single zeroed pixels of a map would hide nothing. The other
    maps are multiplied by 1 / (1 - p); evaluation changes nothing.
    Tompson et al., "Efficient Object Localization Using Convolutional Networks", 2015.

    Shape: (N, C, H, W) -> the same.

    Args:
        p: probability that a map is zeroed.

    Raises:
        ValueError: the input has no height and width.
    """
    require_maps("dropout2d", in_shape)
    return nn.Dropout2d(p)
