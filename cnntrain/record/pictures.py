"""Small pictures of tensors: training images, and the filters of the first convolution."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

_TILE = 24  # pixels; smaller tiles are enlarged to about that


def images_picture(
    images: Tensor, *, mean: Sequence[float], std: Sequence[float], most: int = 16
) -> Tensor:
    """A grid of images as they were before normalisation.

    Args:
        images: normalised, (N, C, H, W).
        mean: that was subtracted, one a channel.
        std: that was divided by, one a channel.
        most: images to show.

    Returns:
        (1 or 3, H', W') in 0 to 1; of images with neither 1 nor 3 channels the first channel.
    """
    shown = images[:most].detach().float().cpu()
    shape = (1, -1, 1, 1)
    shown = shown * torch.tensor(std).view(shape) + torch.tensor(mean).view(shape)
    return _grid(_colour(shown.clamp(0, 1)))


def filters_picture(net: nn.Module, *, most: int = 64) -> Tensor | None:
    """A grid of the first convolution's filters, each stretched to the full range by itself.

    Filters over 3 channels are shown in colour, others slice by slice in grey.

    Args:
        net: the network.
        most: tiles to show.

    Returns:
        (1 or 3, H', W') in 0 to 1; None for a network without a two-dimensional convolution.
    """
    weight = next((m.weight for m in net.modules() if isinstance(m, nn.Conv2d)), None)
    if weight is None:
        return None
    tiles = weight.detach().float().cpu()
    if tiles.shape[1] != 3:
        tiles = tiles.flatten(0, 1).unsqueeze(1)
    tiles = tiles[:most]
    low = tiles.amin(dim=(1, 2, 3), keepdim=True)
    high = tiles.amax(dim=(1, 2, 3), keepdim=True)
    return _grid((tiles - low) / (high - low).clamp_min(1e-12))


def _colour(images: Tensor) -> Tensor:
    return images if images.shape[1] in (1, 3) else images[:, :1]


def _grid(tiles: Tensor) -> Tensor:
    """(N, C, H, W) in 0 to 1, laid out in rows with a line of one grey pixel between tiles."""
    scale = max(1, math.ceil(_TILE / max(tiles.shape[2:])))
    tiles = tiles.repeat_interleave(scale, dim=2).repeat_interleave(scale, dim=3)
    count, channels, height, width = tiles.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    grid = torch.full((channels, rows * (height + 1) + 1, columns * (width + 1) + 1), 0.5)
    for i, tile in enumerate(tiles):
        top = (i // columns) * (height + 1) + 1
        left = (i % columns) * (width + 1) + 1
        grid[:, top : top + height, left : left + width] = tile
    return grid
