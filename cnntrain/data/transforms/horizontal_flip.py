"""Mirror images left to right."""

from __future__ import annotations

import torch
from torch import Tensor

from cnntrain.core.kinds import Fraction
from cnntrain.data import transform
from cnntrain.data.transform_parts import SameSize, chosen

_LARGE = 1 << 14
"""Values of an image from which on copying it takes longer than the call that does it."""


@transform("horizontal_flip", random=True)
class HorizontalFlip(SameSize):
    """Mirror each image left to right with a probability. Not for digits or letters.

    Args:
        probability: of an image to be mirrored.
    """

    def __init__(self, *, probability: Fraction = 0.5) -> None:
        self.probability = probability

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Mirror some of `(N, C, H, W)`."""
        count = len(images)
        picked = chosen(count, self.probability, generator)
        if images.device.type != "cpu":
            return torch.where(picked, images.flip(3), images)
        picked = picked.flatten()
        if 0 < _LARGE * count <= images.numel():
            pairs = zip(torch.split(images, 1), picked.tolist(), strict=True)
            return torch.cat([image.flip(3) if is_picked else image for image, is_picked in pairs])
        # whole images are copied from one of two lists: five times as fast as torch.where on a CPU
        numbers = torch.arange(count) + count * picked
        both = torch.cat([images, images.flip(3)])
        if both.is_contiguous(memory_format=torch.channels_last):  # index_select knows no layouts
            return both.permute(0, 2, 3, 1).index_select(0, numbers).permute(0, 3, 1, 2)
        return both.index_select(0, numbers)
