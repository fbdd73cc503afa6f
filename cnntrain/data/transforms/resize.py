"""Bring images to a size."""

from __future__ import annotations

import torch

from cnntrain.core.kinds import Interpolation, Size
from cnntrain.data import transform
from cnntrain.data.windows import Cutting, HeightWidth, Windows, whole


@transform("resize", sizing=True)
class Resize(Cutting):
    """Resize with a filter that is widened when shrinking, as Pillow's are.

    Args:
        size: one number: the shorter side gets that length, the longer one keeps the ratio (as in
            torchvision); a pair [height, width]: exactly that, the ratio may change.
        interpolation: bilinear: a triangle; bicubic: sharper, as for the weights of EfficientNet.
    """

    def __init__(self, *, size: Size, interpolation: Interpolation = "bilinear") -> None:
        self.size = size
        self.interpolation = interpolation

    def output_size(self, size: HeightWidth) -> HeightWidth:
        """(height, width) of the result."""
        if not isinstance(self.size, int):
            return self.size
        height, width = size
        if height <= width:
            return self.size, max(1, int(self.size * width / height))
        return max(1, int(self.size * height / width)), self.size

    def windows(
        self, size: HeightWidth, *, count: int, generator: torch.Generator | None
    ) -> Windows:
        """The whole image."""
        result = self.output_size(size)
        how = self.interpolation
        return Windows(whole(size), result, scaled=result != size, interpolation=how)
