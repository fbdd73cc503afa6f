"""Whiten images, so that neighbouring pixels are not correlated."""

from __future__ import annotations

import torch
from torch import Tensor

from cnntrain.core.kinds import PositiveFloat
from cnntrain.data import transform
from cnntrain.data.transform_parts import SameSize, unit
from cnntrain.show.whitening import from_text, whitened


@transform("zca", scales=True)
class Zca(SameSize):
    """Subtract the mean image, and whiten by the matrix that leaves images most alike (ZCA).

    `U diag(1 / sqrt(l + epsilon)) U' (x - mean)`, where x are the pixels of an image, from 0 to 1,
    and U and l eigenvectors and eigenvalues of the training images' covariance: all directions that
    vary by more than epsilon then have about the same variance, and U' back to pixels makes the
    whitening local (Bell and Sejnowski, "The 'Independent Components' of Natural Scenes are Edge
    Filters", 1997; Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009,
    appendix A). It replaces `normalize`, must stand last but for what corrupts or mixes, and is for
    small images: of at most 400 values, such as 20 x 20 grey or 11 x 11 RGB pixels.

    Args:
        epsilon: a variance of pixels from 0 to 1: directions that vary less, which are mostly noise
            and compression, are not blown up.
        learnt: mean and matrix, filled in; those of the training images where it is not given.
    """

    def __init__(self, *, epsilon: PositiveFloat = 0.01, learnt: str | None = None) -> None:
        if learnt is not None:
            from_text(learnt)
        self.epsilon = epsilon
        self.learnt = learnt

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` to float32."""
        if self.learnt is None:
            raise ValueError("zca has no matrix: take that of the training set")
        return whitened(unit(images), self.learnt)
