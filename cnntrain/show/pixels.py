"""Tensors as pixels: arrays (H, W, 3) from 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cnntrain.show.whitening import restored, whitened

Pixels = NDArray[np.float32]

NOTHING = 0.88
"""Grey of what lies outside of an image."""


@dataclass(frozen=True)
class Scaling:
    """What normalisation did to the pixels: `(pixel - mean) / std`, one number per channel.

    Where they are whitened, `whitening` is the text of `cnntrain.show.whitening`, else empty; means
    are 0 and deviations 1 then.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    whitening: str = ""

    def undo(self, images: Tensor) -> Tensor:
        """(N, C, H, W) as the network sees them, to pixels from 0 to 1 (not clipped)."""
        if self.whitening:
            return restored(images, self.whitening)
        return images * _column(self.std, images) + _column(self.mean, images)

    def redo(self, pixels: Tensor) -> Tensor:
        """Pixels from 0 to 1, (N, C, H, W), to what the network sees."""
        if self.whitening:
            return whitened(pixels, self.whitening)
        return (pixels - _column(self.mean, pixels)) / _column(self.std, pixels)


def _column(values: Sequence[float], like: Tensor) -> Tensor:
    return column(tuple(values), like.dtype, like.device)


@lru_cache(maxsize=64)
def column(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """`(1, C, 1, 1)`, copied to a device once, which it waits for; never to be changed."""
    return torch.tensor(values, dtype=dtype, device=device).view(1, -1, 1, 1)


def photographs(images: Tensor, *, scaling: Scaling) -> Pixels:
    """Images (N, C, H, W) as they were before normalisation: (N, H, W, 3), clipped to 0 to 1."""
    return coloured(scaling.undo(images.detach().float()).clamp(0, 1))


def stretched(images: Tensor) -> Tensor:
    """Images (N, C, H, W), each by itself over the full range from 0 to 1."""
    images = images.detach().float()
    low = images.amin(dim=(1, 2, 3), keepdim=True)
    high = images.amax(dim=(1, 2, 3), keepdim=True)
    return (images - low) / (high - low).clamp_min(1e-12)


def signed(tiles: Tensor) -> Pixels:
    """Values (N, C, H, W) around zero, which is grey; each tile by its largest magnitude."""
    tiles = tiles.detach().float()
    largest = tiles.abs().amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-30)
    return coloured(0.5 + tiles / (2 * largest))


def coloured(images: Tensor) -> Pixels:
    """(N, C, H, W) from 0 to 1 as (N, H, W, 3); of neither 1 nor 3 channels the first is shown."""
    shown = images if images.shape[1] == 3 else images[:, :1].expand(-1, 3, -1, -1)
    array: Pixels = shown.permute(0, 2, 3, 1).cpu().numpy().astype(np.float32)
    return array


def enlarged(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (N, H, W) at another height and width, bilinear."""
    resized: Tensor = functional.interpolate(
        maps[:, None].float(), size=size, mode="bilinear", align_corners=False
    )
    return resized[:, 0]


def magnified(images: Pixels, factor: int) -> Pixels:
    """Images (N, H, W, 3) with each pixel as a square of `factor` pixels."""
    return images.repeat(factor, axis=1).repeat(factor, axis=2)


def mosaic(
    tiles: Pixels, *, columns: int, gap: int = 1, edge: int = 0, ground: float = 1.0
) -> Pixels:
    """Tiles (N, H, W, 3) in rows, with pixels of the grey `ground` between and around them."""
    count, height, width, _ = tiles.shape
    rows, high, wide = -(-count // columns), height + gap, width + gap
    shape = (rows * high - gap + 2 * edge, columns * wide - gap + 2 * edge, 3)
    sheet: Pixels = np.full(shape, ground, dtype=np.float32)
    for number, tile in enumerate(tiles):
        top, left = number // columns * high + edge, number % columns * wide + edge
        sheet[top : top + height, left : left + width] = tile
    return sheet
