"""Cut the middle out of images."""

from __future__ import annotations

import torch

from cnntrain.core.kinds import Size
from cnntrain.data import transform
from cnntrain.data.transform_parts import as_pair
from cnntrain.data.windows import Cutting, HeightWidth, Windows


@transform("center_crop", sizing=True)
class CenterCrop(Cutting):
    """The middle of each image; an image smaller than the crop is an error.

    Args:
        size: height and width of the crop.
    """

    def __init__(self, *, size: Size) -> None:
        self.size = as_pair(size)

    def output_size(self, size: HeightWidth) -> HeightWidth:
        """(height, width) of the crop.

        Raises:
            ValueError: the crop is larger than the image.
        """
        height, width = self.size
        if height > size[0] or width > size[1]:
            raise ValueError(
                f"a crop of {height} x {width} is larger than the image of {size[0]} x {size[1]}"
            )
        return self.size

    def windows(
        self, size: HeightWidth, *, count: int, generator: torch.Generator | None
    ) -> Windows:
        """One window for all; an odd remainder is rounded as torchvision does."""
        height, width = self.output_size(size)
        top, left = round((size[0] - height) / 2), round((size[1] - width) / 2)
        box = torch.tensor([[left, top, left + width, top + height]], dtype=torch.float32)
        return Windows(box, (height, width), scaled=False)
