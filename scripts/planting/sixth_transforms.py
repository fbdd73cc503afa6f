"""Transforms of somebody's own with a mistake, or asked too much of; see sixth_data.py."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cnntrain.core.kinds import Fraction, NonNegative, NonNegativeFloat, PositiveFloat
from cnntrain.data import transform
from cnntrain.data.transform_parts import SameSize, chosen, uniform, unit


def _sampled(images: Tensor, theta: Tensor) -> Tensor:
    grid = F.affine_grid(theta.to(images.device), list(images.shape), align_corners=False)
    return F.grid_sample(unit(images), grid, align_corners=False)


def _theta(degrees: Tensor, across: Tensor, down: Tensor) -> Tensor:
    angle = torch.deg2rad(degrees)
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cos, -sin, across], 1), torch.stack([sin, cos, down], 1)], 1)


@transform("unit_length")
class UnitLength(SameSize):
    """`torch.nn.functional.normalize`: divide by the length along the second axis, the channels."""

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` to float32."""
        return F.normalize(unit(images))


@transform("random_grayscale", random=True)
class RandomGrayscale(SameSize):
    """Show some images without their colours.

    Args:
        p: the share of images.
    """

    def __init__(self, *, p: Fraction = 0.1) -> None:
        self.p = p

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` to float32 from 0 to 1."""
        grey = unit(images).mean(1, keepdim=True).expand_as(images)
        return torch.where(chosen(len(images), self.p, generator), grey, unit(images))


@transform("solarize", random=True)
class Solarize(SameSize):
    """Invert what is at least as bright as a threshold.

    Args:
        threshold: of bytes, from 0 to 255.
    """

    def __init__(self, *, threshold: PositiveFloat = 128.0) -> None:
        self.threshold = threshold

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` to float32 from 0 to 1."""
        pixels = unit(images)
        return torch.where(255 * pixels >= self.threshold, 1 - pixels, pixels)


@transform("turn", random=True)
class Turn(SameSize):
    """Turn images about their middle.

    Args:
        degrees: the angle lies between minus and plus this.
        seed: of the generator, which is made in each call.
    """

    def __init__(self, *, degrees: PositiveFloat = 30.0, seed: NonNegative = 42) -> None:
        self.degrees = degrees
        self.seed = seed

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` to float32 from 0 to 1."""
        own = torch.Generator().manual_seed(self.seed)
        angle = uniform(1, -self.degrees, self.degrees, own).expand(len(images))
        return _sampled(images, _theta(angle, torch.zeros(len(images)), torch.zeros(len(images))))


@transform("rotate_array", random=True)
class RotateArray(SameSize):
    """Turn arrays in the plane of their first two axes, as `scipy.ndimage.rotate` does.

    Args:
        degrees: the angle lies between minus and plus this.
    """

    def __init__(self, *, degrees: PositiveFloat = 15.0) -> None:
        self.degrees = degrees

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)`, where the first two axes of an image are C and H, to float32."""
        count, channels, height, width = images.shape
        angle = torch.deg2rad(uniform(count, -self.degrees, self.degrees, generator))
        cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
        row = (torch.arange(height) - (height - 1) / 2)[None, None, :]
        channel = (torch.arange(channels) - (channels - 1) / 2)[None, :, None]
        y = (cos * row + sin * channel) / (height / 2)
        z = (cos * channel - sin * row) / (channels / 2)
        x = ((torch.arange(width) + 0.5) * 2 / width - 1).expand(count, channels, height, width)
        where = (x, *(each[..., None].expand_as(x) for each in (y, z)))
        seen = F.grid_sample(unit(images)[:, None], torch.stack(where, -1), align_corners=False)
        return seen[:, 0]


@transform("cutout", random=True)
class Cutout(SameSize):
    """Multiply by a mask with a square at a random place.

    Args:
        side: of the square, as a share of the image's.
    """

    def __init__(self, *, side: Fraction = 0.25) -> None:
        self.side = side

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` to float32 from 0 to 1; the mask is 1 inside the square."""
        size = images.shape[2:]
        masks = []
        for length in size:
            side = max(round(length * self.side), 1)
            first = uniform(len(images), 0, length - side + 1, generator).floor()[:, None]
            steps = torch.arange(length)[None]
            masks.append((steps >= first) & (steps < first + side))
        return unit(images) * (masks[0][:, None, :, None] & masks[1][:, None, None, :])


@transform("shift", random=True)
class Shift(SameSize):
    """Move images with `affine_grid`, whose coordinates go from -1 to 1.

    Args:
        most: the shift lies between minus and plus this, in such coordinates.
    """

    def __init__(self, *, most: PositiveFloat = 0.1) -> None:
        self.most = most

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` to float32 from 0 to 1."""
        count = len(images)
        across, down = (uniform(count, -self.most, self.most, generator) for _ in range(2))
        return _sampled(images, _theta(torch.zeros(count), across, down))


@transform("gamma", random=True)
class Gamma(SameSize):
    """Raise to a power, which is drawn for each image.

    Args:
        most: the power lies between 1 and this.
    """

    def __init__(self, *, most: PositiveFloat = 1.5) -> None:
        self.most = most

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` to float32."""
        power = uniform(len(images), 1, self.most, generator)
        return unit(images) ** power[:, None, None, None]


@transform("by_picture", random=True)
class ByPicture(SameSize):
    """Make pictures of 8 bits of numbers (times 255), add a little light, and make numbers again.

    Args:
        most: the light lies between minus and plus this, as a share of white.
    """

    def __init__(self, *, most: Fraction = 0.05) -> None:
        self.most = most

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` to float32 from 0 to 1; a byte wraps around."""
        light = uniform(len(images), -self.most, self.most, generator)[:, None, None, None]
        return ((unit(images) + light) * 255).floor().remainder(256) / 255


@transform("sharpen", random=True)
class Sharpen(SameSize):
    """Away from a blurred copy of the image, as Pillow's `Sharpness` does.

    Args:
        factor: 1 leaves the image as it is, 2 is sharp.
    """

    def __init__(self, *, factor: NonNegativeFloat = 2.0) -> None:
        self.factor = factor

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` to float32 from 0 to 1."""
        pixels = unit(images)
        soft = F.avg_pool2d(F.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        return (soft + self.factor * (pixels - soft)).clamp(0, 1)
