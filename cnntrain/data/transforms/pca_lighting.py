"""AlexNet's colour augmentation."""

from __future__ import annotations

import torch
from torch import Tensor

from cnntrain.core.kinds import PositiveFloat
from cnntrain.data import transform
from cnntrain.data.on_device import constant
from cnntrain.data.transform_parts import SameSize, unit

# Principal components of the RGB pixels (0..1) of ImageNet's training images, as published with
# fb.resnet.torch (Gross and Wilber 2016); the columns of VECTORS are the components, and VALUES
# the factors that the reference code multiplies with a draw from N(0, std).
VALUES = (0.2175, 0.0188, 0.0045)
VECTORS = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)


@transform("pca_lighting", random=True, before_normalize=True)
class PcaLighting(SameSize):
    """Add to all pixels of an image one random multiple of the principal colours of ImageNet.

    Krizhevsky et al. 2012, section 4.1: `[p1, p2, p3] [a1 l1, a2 l2, a3 l3]^T`, a ~ N(0, std).
    The result is not clipped. RGB only.

    Args:
        std: of the multiples; 0.1 in the paper.
    """

    def __init__(self, *, std: PositiveFloat = 0.1) -> None:
        self.std = std

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, 3, H, W)` to float32."""
        if images.shape[1] != 3:
            raise ValueError(f"pca_lighting needs RGB images, not {images.shape[1]} channel(s)")
        alphas = torch.randn(len(images), 3, generator=generator, device=images.device) * self.std
        return unit(images) + lighting(alphas)[:, :, None, None]


def lighting(alphas: Tensor) -> Tensor:
    """What is added to red, green and blue, `(N, 3)`, for multiples `(N, 3)`."""
    return (alphas * constant(VALUES, alphas.device)) @ constant(VECTORS, alphas.device).T
