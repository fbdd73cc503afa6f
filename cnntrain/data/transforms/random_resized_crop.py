"""A random part of the image, resized: the augmentation of GoogLeNet."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from cnntrain.core.kinds import Interpolation, Range, Size
from cnntrain.data import transform
from cnntrain.data.transform_parts import as_pair, rectangles
from cnntrain.data.windows import Cutting, HeightWidth, Windows

_TRIES = 10


@transform("random_resized_crop", random=True, sizing=True)
class RandomResizedCrop(Cutting):
    """A random window of random area and ratio, resized to one size.

    Szegedy et al. 2015 (section 6), in torchvision's form: ten draws of area (uniform) and ratio
    (log-uniform); the first that fits is taken, otherwise the largest middle window whose ratio is
    allowed.

    Args:
        size: height and width of the result.
        scale: the window's share of the image's area, from and to.
        ratio: the window's width / height, from and to.
        interpolation: how it is resized, as `resize` does it.
    """

    def __init__(
        self,
        *,
        size: Size,
        scale: Range = (0.08, 1.0),
        ratio: Range = (0.75, 1.3333333333333333),
        interpolation: Interpolation = "bilinear",
    ) -> None:
        if not 0 < scale[0] <= scale[1] <= 1:
            raise ValueError(f"scale must lie between 0 and 1, not {list(scale)}")
        if ratio[0] <= 0:
            raise ValueError(f"ratio must be positive, not {list(ratio)}")
        self.size = as_pair(size)
        self.scale = scale
        self.ratio = ratio
        self.interpolation = interpolation

    def output_size(self, size: HeightWidth) -> HeightWidth:
        """(height, width) of the result, whatever the image's."""
        return self.size

    def windows(
        self, size: HeightWidth, *, count: int, generator: torch.Generator | None
    ) -> Windows:
        """A window per image."""
        assert generator is not None
        rows, columns = size
        device = generator.device
        drawn = torch.rand(4, _TRIES, count, generator=generator, device=device)
        if count == 1 and device.type == "cpu":
            boxes = torch.tensor([self._first_fit(drawn.flatten(1).tolist(), size)])
            return Windows(boxes, self.size, scaled=True, interpolation=self.interpolation)
        sides = rectangles(drawn, rows * columns, scale=self.scale, ratio=self.ratio)
        width, height = (side.clamp(min=1) for side in sides)
        fits = (width <= columns) & (height <= rows)
        top = (drawn[2] * (rows - height + 1)).floor()
        left = (drawn[3] * (columns - width + 1)).floor()
        tries = torch.stack([left, top, left + width, top + height], dim=-1)
        first = fits.to(torch.uint8).argmax(dim=0)
        boxes = tries[first, torch.arange(count, device=device)]
        fallback = self._middle(size).to(device)
        boxes = torch.where(fits.any(dim=0)[:, None], boxes, fallback)
        return Windows(boxes, self.size, scaled=True, interpolation=self.interpolation)

    def _first_fit(self, drawn: Sequence[Sequence[float]], size: HeightWidth) -> Sequence[float]:
        """What `windows` does, for one image: in plain numbers it takes a tenth of the time."""
        rows, columns = size
        low, high = (math.log(ratio) for ratio in self.ratio)
        for area, ratio, down, across in zip(*drawn, strict=True):
            area = rows * columns * (self.scale[0] + area * (self.scale[1] - self.scale[0]))
            ratio = math.exp(low + ratio * (high - low))
            width, height = (
                max(1, round(math.sqrt(side))) for side in (area * ratio, area / ratio)
            )
            if width <= columns and height <= rows:
                top, left = int(down * (1 + rows - height)), int(across * (1 + columns - width))
                return float(left), float(top), float(left + width), float(top + height)
        middle: list[float] = self._middle(size).tolist()
        return middle

    def _middle(self, size: HeightWidth) -> Tensor:
        rows, columns = size
        height, width = rows, columns
        if columns / rows < self.ratio[0]:
            height = max(1, min(rows, round(columns / self.ratio[0])))
        elif columns / rows > self.ratio[1]:
            width = max(1, min(columns, round(rows * self.ratio[1])))
        top, left = (rows - height) // 2, (columns - width) // 2
        return torch.tensor([left, top, left + width, top + height], dtype=torch.float32)
