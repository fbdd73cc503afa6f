"""Add Gaussian noise."""

from __future__ import annotations

import torch
from torch import Tensor

from cnntrain.core.kinds import PositiveFloat
from cnntrain.data import transform
from cnntrain.data.transform_parts import SameSize, unit


@transform("noise", random=True, before_normalize=True, corrupts=True)
class Noise(SameSize):
    """Independent Gaussian noise on every pixel and channel, then clipped to 0..1.

    Args:
        std: of the noise, for pixels from 0 to 1.
    """

    def __init__(self, *, std: PositiveFloat = 0.05) -> None:
        self.std = std

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` to float32 from 0 to 1."""
        pixels = unit(images)
        drawn = torch.randn(pixels.shape, generator=generator, device=pixels.device)
        return drawn.mul_(self.std).add_(pixels).clamp_(0, 1)
