"""RandAugment: a few operations of one strength, drawn from fourteen."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torchvision.transforms import v2

from cnntrain.core.kinds import NonNegative, Positive
from cnntrain.data import transform
from cnntrain.data.transform_parts import SameSize, each_image

_STRENGTHS = 31


@transform("rand_augment", random=True, before_normalize=True, by_image=True)
class RandAugment(SameSize):
    """Geometric and colour operations on 8-bit pixels, drawn again for each image.

    Cubuk et al. 2020 (section 3), in torchvision's implementation, image by image: shift, shear,
    rotation, brightness, colour, contrast, sharpness, posterize, solarize, autocontrast, equalize.

    Args:
        num_ops: operations done to an image, one after the other; N in the paper.
        magnitude: their strength, from 0 to 30; M in the paper.
        interpolation: of shifted, sheared and rotated images.
    """

    def __init__(
        self,
        *,
        num_ops: Positive = 2,
        magnitude: NonNegative = 9,
        interpolation: Literal["nearest", "bilinear"] = "nearest",
    ) -> None:
        if magnitude >= _STRENGTHS:
            raise ValueError(f"magnitude must be at most {_STRENGTHS - 1}, not {magnitude}")
        self._augment = v2.RandAugment(
            num_ops=num_ops,
            magnitude=magnitude,
            num_magnitude_bins=_STRENGTHS,
            interpolation=v2.InterpolationMode(interpolation),
        )

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Augment each of `(N, C, H, W)`; uint8 stays uint8."""
        return each_image(images, generator, self._augment)
