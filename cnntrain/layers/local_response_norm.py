"""Local response normalisation."""

from __future__ import annotations

from torch import nn

from cnntrain.core.kinds import NonNegativeFloat, Positive, PositiveFloat
from cnntrain.layers import layer
from cnntrain.layers.shapes import require_maps, require_odd


@layer("local_response_norm")
def local_response_norm(
    *,
    in_shape: tuple[int, ...],
    size: Positive = 5,
    alpha: NonNegativeFloat = 1e-4,
    beta: PositiveFloat = 0.75,
    k: PositiveFloat = 2.0,
) -> nn.LocalResponseNorm:
    """Local response normalisation: each value is divided by its neighbour maps' activity.

    `y[c] = x[c] / (k + alpha * sum of x[j]**2) ** beta`, the sum over the `size` maps j around c
    at the same pixel. Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural
    Networks", 2012, section 3.3. alpha is the paper's: it multiplies the SUM. torch and Caffe
    divide it by the size, so their alpha is `size` times ours (torch's module gets alpha * size).

    Shape: (N, C, H, W) -> the same.

    Args:
        size: number of neighbouring maps in the sum, odd; fewer at the first and the last map.
        alpha: weight of the sum of squares.
        beta: exponent of the divisor.
        k: constant in the divisor.

    Raises:
        ValueError: the size is even, or the input has no height and width.
    """
    require_maps("local_response_norm", in_shape)
    require_odd("local_response_norm: size", size, "middle map")
    return nn.LocalResponseNorm(size, alpha=alpha * size, beta=beta, k=k)
