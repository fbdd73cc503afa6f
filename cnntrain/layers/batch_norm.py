"""Batch normalisation."""

from __future__ import annotations

from torch import nn

from cnntrain.core.kinds import Fraction, PositiveFloat
from cnntrain.layers import layer


@layer("batch_norm", affine="plain")
def batch_norm(
    *,
    in_shape: tuple[int, ...],
    momentum: Fraction | None = 0.1,
    epsilon: PositiveFloat = 1e-5,
    affine: bool = True,
) -> nn.BatchNorm1d | nn.BatchNorm2d:
    """Batch normalisation: y = gamma (x - mean) / sqrt(variance + epsilon) + beta.

    In training mean and variance (biased, 1/m) are those of the channel over the batch and the
    pixels, so at least two values per channel are needed; in evaluation they are running averages
    (of the unbiased variance). Ioffe and Szegedy, "Batch Normalization", 2015, algorithm 1.

    Shape: (N, C, H, W) or (N, C) -> the same.

    Args:
        momentum: weight of the newest batch in the running averages,
            running <- (1 - momentum) running + momentum batch; null means the mean of all batches.
        epsilon: added to the variance.
        affine: whether gamma and beta are learned, or else 1 and 0.

    Raises:
        ValueError: the input is neither (C, H, W) nor (C,).
    """
    if len(in_shape) not in (1, 3):
        raise ValueError(
            f"batch_norm reads maps (C, H, W) or flat values (C,), but its input is {in_shape}; "
            f"put a flatten above it"
        )
    kind = nn.BatchNorm2d if len(in_shape) == 3 else nn.BatchNorm1d
    return kind(in_shape[0], eps=epsilon, momentum=momentum, affine=affine)
