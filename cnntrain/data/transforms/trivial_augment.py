"""TrivialAugment: one operation of any strength, drawn from fourteen."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torchvision.transforms import v2

from cnntrain.data import transform
from cnntrain.data.transform_parts import SameSize, each_image


@transform("trivial_augment", random=True, before_normalize=True, by_image=True)
class TrivialAugment(SameSize):
    """One operation on 8-bit pixels, it and its strength drawn again for each image.

    Müller and Hutter 2021 (section 3), the wide set of strengths, in torchvision's implementation,
    image by image; the operations are those of `rand_augment`. Nothing is to be tuned. Images are
    shifted by up to 32 pixels: not for small ones.

    Args:
        interpolation: of shifted, sheared and rotated images.
    """

    def __init__(self, *, interpolation: Literal["nearest", "bilinear"] = "nearest") -> None:
        self._augment = v2.TrivialAugmentWide(interpolation=v2.InterpolationMode(interpolation))

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Augment each of `(N, C, H, W)`; uint8 stays uint8."""
        return each_image(images, generator, self._augment)
