"""Vary brightness, contrast, saturation and hue."""

from __future__ import annotations

import torch
from torch import Tensor

from cnntrain.core.kinds import NonNegativeFloat
from cnntrain.data import transform
from cnntrain.data.on_device import constant
from cnntrain.data.transform_parts import SameSize, per_image, uniform, unit

_LUMA = (0.2989, 0.587, 0.114)  # ITU-R BT.601, with torchvision's digits


@transform("color_jitter", random=True, before_normalize=True)
class ColorJitter(SameSize):
    """Brightness, contrast, saturation and hue of each image, in this order.

    torchvision's formulas on pixels from 0 to 1; torchvision draws the order as well. Factors are
    drawn from [max(0, 1 - value), 1 + value].

    Args:
        brightness: times the pixels.
        contrast: away from or towards the image's mean grey.
        saturation: away from or towards each pixel's grey (RGB only).
        hue: shift of the hue, a share of the colour circle, at most 0.5 (RGB only).
    """

    def __init__(
        self,
        *,
        brightness: NonNegativeFloat = 0.0,
        contrast: NonNegativeFloat = 0.0,
        saturation: NonNegativeFloat = 0.0,
        hue: NonNegativeFloat = 0.0,
    ) -> None:
        if hue > 0.5:
            raise ValueError(f"hue must be at most 0.5, not {hue}")
        if not (brightness or contrast or saturation or hue):
            raise ValueError("color_jitter needs at least one of brightness, contrast, ... above 0")
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation
        self.hue = hue

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` to float32 from 0 to 1."""
        channels = images.shape[1]
        if channels != 3 and (self.saturation or self.hue):
            raise ValueError(f"saturation and hue need RGB images, not {channels} channel(s)")
        pixels = unit(images)
        if self.brightness:
            pixels = adjust_brightness(pixels, self._factor(pixels, self.brightness, generator))
        if self.contrast:
            pixels = adjust_contrast(pixels, self._factor(pixels, self.contrast, generator))
        if self.saturation:
            pixels = adjust_saturation(pixels, self._factor(pixels, self.saturation, generator))
        if self.hue:
            shift = uniform(len(pixels), -self.hue, self.hue, generator)
            pixels = adjust_hue(pixels, per_image(shift))
        return pixels

    def _factor(self, pixels: Tensor, value: float, generator: torch.Generator) -> Tensor:
        return per_image(uniform(len(pixels), max(0.0, 1 - value), 1 + value, generator))


def adjust_brightness(pixels: Tensor, factor: Tensor) -> Tensor:
    """`clip(factor * pixels)`; factor is `(N, 1, 1, 1)`."""
    return (pixels * factor).clamp_(0, 1)


def adjust_contrast(pixels: Tensor, factor: Tensor) -> Tensor:
    """Blend with the mean grey of the image."""
    grey = _grey(pixels).mean(dim=(1, 2, 3), keepdim=True)
    return _blend(pixels, grey, factor)


def adjust_saturation(pixels: Tensor, factor: Tensor) -> Tensor:
    """Blend with the grey image."""
    return _blend(pixels, _grey(pixels), factor)


def adjust_hue(pixels: Tensor, shift: Tensor) -> Tensor:
    """Turn the hue (HSV) by a share of the circle."""
    red, green, blue = pixels.unbind(1)
    value, _ = pixels.max(dim=1)
    chroma = value - pixels.min(dim=1).values
    divisor = torch.where(chroma > 0, chroma, torch.ones_like(chroma))
    sector = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    hue = (sector / 6 + shift[:, 0]).remainder(1.0) * 6
    offset = constant((5.0, 3.0, 1.0), pixels.device).view(1, 3, 1, 1)
    k = (offset + hue[:, None]).remainder(6.0)
    # HSV to RGB in closed form: f(n) = v - c max(0, min(k, 4 - k, 1)), k = (n + 6 h) mod 6
    return value[:, None] - chroma[:, None] * torch.minimum(k, 4 - k).clamp(0, 1)


def _grey(pixels: Tensor) -> Tensor:
    if pixels.shape[1] != 3:
        return pixels.mean(dim=1, keepdim=True)
    weights = constant(_LUMA, pixels.device).view(1, 3, 1, 1)
    return (pixels * weights).sum(dim=1, keepdim=True)


def _blend(pixels: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return (factor * pixels + (1 - factor) * other).clamp_(0, 1)
