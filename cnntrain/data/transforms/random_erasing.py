"""Blank out a random rectangle."""

from __future__ import annotations

import torch
from torch import Tensor

from cnntrain.core.kinds import Fraction, Range
from cnntrain.data import transform
from cnntrain.data.transform_parts import SameSize, chosen, rectangles

_TRIES = 10


@transform("random_erasing", random=True, corrupts=True)
class RandomErasing(SameSize):
    """Set a random rectangle to zero (black, or the mean after `normalize`).

    Zhong et al. 2017, algorithm 1, in torchvision's form: up to ten draws of area and ratio; an
    image in which none fits stays as it is.

    Args:
        probability: of an image to be touched.
        scale: the rectangle's share of the area, from and to.
        ratio: its height / width, from and to.
    """

    def __init__(
        self,
        *,
        probability: Fraction = 0.5,
        scale: Range = (0.02, 0.33),
        ratio: Range = (0.3, 3.3),
    ) -> None:
        if not 0 < scale[0] <= scale[1] < 1:
            raise ValueError(f"scale must lie between 0 and 1, not {list(scale)}")
        if ratio[0] <= 0:
            raise ValueError(f"ratio must be positive, not {list(ratio)}")
        self.probability = probability
        self.scale = scale
        self.ratio = ratio

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Erase a rectangle of some of `(N, C, H, W)`."""
        count, _, rows, columns = images.shape
        device = images.device
        touched = chosen(count, self.probability, generator)
        drawn = torch.rand(4, _TRIES, count, generator=generator, device=device)
        height, width = rectangles(drawn, rows * columns, scale=self.scale, ratio=self.ratio)
        fits = (height < rows) & (width < columns)
        first = fits.to(torch.uint8).argmax(dim=0)[None]
        height, width = height.gather(0, first)[0], width.gather(0, first)[0]
        top = (drawn[2, 0] * (rows - height + 1)).floor()
        left = (drawn[3, 0] * (columns - width + 1)).floor()
        y = torch.arange(rows, device=device)
        x = torch.arange(columns, device=device)
        in_rows = (y >= top[:, None]) & (y < (top + height)[:, None])
        in_columns = (x >= left[:, None]) & (x < (left + width)[:, None])
        box = in_rows[:, None, :, None] & in_columns[:, None, None, :]
        erased = box & touched & fits.any(dim=0)[:, None, None, None]
        return images.masked_fill(erased, 0)
