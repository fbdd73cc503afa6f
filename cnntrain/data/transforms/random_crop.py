"""Shift images at random: pad, then crop."""

from __future__ import annotations

from typing import Literal

import torch

from cnntrain.core.kinds import Padding, Size
from cnntrain.data import transform
from cnntrain.data.transform_parts import as_pair
from cnntrain.data.windows import Cutting, HeightWidth, Windows


@transform("random_crop", random=True, sizing=True)
class RandomCrop(Cutting):
    """A window of fixed size at a random place, each possible place equally likely.

    `size: 32, padding: 4` on 32 x 32 images is the augmentation of He et al. 2015 (section 4.2)
    for CIFAR.

    Args:
        size: height and width of the crop.
        padding: pixels added on each side before: one number or [rows, columns].
        border: what the padding holds: zero (black, or the mean after `normalize`), or the image
            reflected at its edge.
    """

    def __init__(
        self, *, size: Size, padding: Padding = 0, border: Literal["zero", "reflect"] = "zero"
    ) -> None:
        self.size = as_pair(size)
        self.padding = as_pair(padding)
        self.border = border

    def output_size(self, size: HeightWidth) -> HeightWidth:
        """(height, width) of the crop.

        Raises:
            ValueError: the crop is larger than the padded image, or the image too small to reflect.
        """
        rows, columns = self.padding
        padded = (size[0] + 2 * rows, size[1] + 2 * columns)
        if self.size[0] > padded[0] or self.size[1] > padded[1]:
            raise ValueError(
                f"a crop of {self.size[0]} x {self.size[1]} is larger than the image of "
                f"{size[0]} x {size[1]} with its padding ({padded[0]} x {padded[1]})"
            )
        if self.border == "reflect" and (rows >= size[0] or columns >= size[1]):
            raise ValueError(
                f"a reflected padding of {rows} x {columns} needs an image larger than that, "
                f"not {size[0]} x {size[1]}"
            )
        return self.size

    def windows(
        self, size: HeightWidth, *, count: int, generator: torch.Generator | None
    ) -> Windows:
        """A window per image."""
        assert generator is not None
        height, width = self.output_size(size)
        rows, columns = self.padding
        device = generator.device
        most = (size[0] + 2 * rows - height + 1, size[1] + 2 * columns - width + 1)
        top = torch.randint(most[0], (count,), generator=generator, device=device) - rows
        left = torch.randint(most[1], (count,), generator=generator, device=device) - columns
        boxes = torch.stack([left, top, left + width, top + height], dim=1).float()
        return Windows(boxes, self.size, scaled=False, margin=self.padding, border=self.border)
