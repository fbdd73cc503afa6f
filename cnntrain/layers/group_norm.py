"""Group normalisation."""

from __future__ import annotations

import math

from torch import nn

from cnntrain.core.kinds import Positive, PositiveFloat
from cnntrain.layers import layer


@layer("group_norm", affine="scales")
def group_norm(
    *,
    in_shape: tuple[int, ...],
    groups: Positive = 32,
    epsilon: PositiveFloat = 1e-5,
    affine: bool = True,
) -> nn.GroupNorm:
    """Group normalisation: y = gamma (x - mean) / sqrt(variance + epsilon) + beta.

    Mean and variance (biased, 1/m) are those of each image over the pixels of a group of
    neighbouring maps, so they do not depend on the batch, and training and evaluation do the same.
    One group is layer normalisation, as many groups as maps instance normalisation.
    Wu and He, "Group Normalization", 2018, equations 1, 2 and 7.

    Shape: (N, C, H, W) or (N, C) -> the same.

    Args:
        groups: number of groups of maps.
        epsilon: added to the variance.
        affine: whether gamma and beta, one for each map, are learned, or else 1 and 0.

    Raises:
        ValueError: groups does not divide the channels, or each group is a single value.
    """
    channels = in_shape[0]
    if channels % groups:
        divisors = [n for n in range(1, channels + 1) if channels % n == 0]
        raise ValueError(
            f"group_norm: groups {groups} does not divide the {channels} channels; "
            f"choose from {', '.join(map(str, divisors))}"
        )
    if math.prod(in_shape) == groups:
        raise ValueError(
            f"group_norm: with {groups} groups of one value each every value is its own mean; "
            f"use fewer groups"
        )
    return nn.GroupNorm(groups, channels, eps=epsilon, affine=affine)
