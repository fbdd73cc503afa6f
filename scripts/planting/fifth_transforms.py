"""Transforms that were written for a run and go wrong; see fifth_data.py."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cnntrain.core.kinds import Fraction, Positive, PositiveFloat
from cnntrain.data import transform
from cnntrain.data.transform_parts import SameSize, Showing, unit


def _sampled(images: Tensor, theta: Tensor) -> Tensor:
    grid = F.affine_grid(theta.to(images.device), list(images.shape), align_corners=False)
    return F.grid_sample(unit(images), grid, align_corners=False)


@transform("pixel_dropout", random=True)
class PixelDropout(SameSize):
    """Set single pixels to black.

    Args:
        p: the share of pixels that go.
    """

    def __init__(self, *, p: Fraction = 0.1) -> None:
        self.p = p

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` to float32 from 0 to 1."""
        shape = (len(images), 1, *images.shape[2:])
        drawn = torch.rand(shape, generator=generator, device=images.device)
        return unit(images) * (drawn >= self.p)


@transform("posterize", random=True)
class Posterize(SameSize):
    """Keep the highest bits of each pixel.

    Args:
        bits: how many of the eight.
    """

    def __init__(self, *, bits: Positive = 4) -> None:
        self.bits = bits

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` to float32 from 0 to 1."""
        step = float(1 << (8 - self.bits))
        return (unit(images) * 255 / step).floor() * step / 255


@transform("random_gamma", random=True)
class RandomGamma(SameSize):
    """Raise pixels from 0 to 1 to a power.

    Args:
        least: the smallest power.
        most: the largest one.
    """

    def __init__(self, *, least: PositiveFloat = 0.8, most: PositiveFloat = 1.25) -> None:
        self.least = least
        self.most = most

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` to float32 from 0 to 1."""
        drawn = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device)
        return unit(images).clamp(0, 1).pow(self.least + drawn * (self.most - self.least))


@transform("change_brightness", random=True)
class ChangeBrightness(SameSize):
    """A little brighter or darker, kept between 0 and 1 as pixels are.

    Args:
        most: added or taken away.
    """

    def __init__(self, *, most: Fraction = 0.1) -> None:
        self.most = most

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` to float32."""
        drawn = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device)
        return (unit(images) + (2 * drawn - 1) * self.most).clamp(0, 1)


@transform("erase_box", random=True)
class EraseBox(SameSize):
    """Fill a square of each image with one value.

    Args:
        value: with which.
        side: of the square, as a share of the image's.
    """

    def __init__(self, *, value: PositiveFloat = 1.0, side: Fraction = 0.3) -> None:
        self.value = value
        self.side = side

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` to float32."""
        height, width = images.shape[2:]
        rows, columns = max(round(height * self.side), 1), max(round(width * self.side), 1)
        drawn = torch.rand(2, len(images), 1, generator=generator, device=images.device)
        top, left = (
            (drawn[0] * (height - rows + 1)).floor(),
            (drawn[1] * (width - columns + 1)).floor(),
        )
        y, x = torch.arange(height)[None], torch.arange(width)[None]
        box = ((y >= top) & (y < top + rows))[:, :, None] & ((x >= left) & (x < left + columns))[
            :, None
        ]
        return unit(images).masked_fill(box[:, None], self.value)


@transform("rotate", random=True)
class Rotate(SameSize):
    """Turn each image about its first pixel, in the upper left corner.

    Args:
        degrees: the angle lies between minus and plus this.
    """

    def __init__(self, *, degrees: PositiveFloat = 10.0) -> None:
        self.degrees = degrees

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` to float32 from 0 to 1."""
        drawn = torch.rand(len(images), generator=generator, device=images.device)
        angle = torch.deg2rad((2 * drawn - 1) * self.degrees)
        cos, sin = angle.cos(), angle.sin()
        rows = [
            torch.stack([cos, -sin, cos - sin - 1], 1),
            torch.stack([sin, cos, cos + sin - 1], 1),
        ]
        return _sampled(images, torch.stack(rows, 1))


@transform("turn_and_shift", random=True)
class TurnAndShift(SameSize):
    """Turn and shift each image a little, and write the result back to where it came from.

    What an epoch finds is what all epochs before it left: images are moved once for each epoch.

    Args:
        degrees: of one turn, between minus and plus this.
        shift: of one shift, as a share of the image, between minus and plus this.
    """

    reads_shown = True

    def __init__(self, *, degrees: PositiveFloat = 10.0, shift: Fraction = 0.1) -> None:
        self.degrees = degrees
        self.shift = shift

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` to float32 from 0 to 1, as in the first epoch."""
        return self._moved(images, generator, 1)

    def shown(self, images: Tensor, shown: Showing) -> Tensor:
        """The same, once for each epoch so far."""
        seed = hash((shown.seed, shown.epoch, int(shown.positions[0])))
        return self._moved(images, torch.Generator().manual_seed(seed % 2**31), shown.epoch)

    def _moved(self, images: Tensor, generator: torch.Generator, times: int) -> Tensor:
        drawn = torch.rand(3, times, len(images), generator=generator, device=generator.device)
        angle, down, across = (2 * drawn - 1).sum(1)
        angle = torch.deg2rad(angle * self.degrees)
        cos, sin = angle.cos(), angle.sin()
        rows = [
            torch.stack([cos, -sin, 2 * self.shift * across], 1),
            torch.stack([sin, cos, 2 * self.shift * down], 1),
        ]
        return _sampled(images, torch.stack(rows, 1))


@transform("standardize")
class Standardize(SameSize):
    """Centre and scale.

    Args:
        mean: taken off.
        std: by which the rest is divided.
    """

    def __init__(self, *, mean: PositiveFloat = 0.5, std: PositiveFloat = 0.25) -> None:
        self.mean = mean
        self.std = std

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` to float32."""
        return (unit(images) - self.mean) / self.std
