"""Small pictures of tensors: training images, and the filters of the first convolution."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from cnntrain.show.pixels import coloured, magnified, mosaic, stretched

_TILE = 24  # pixels; smaller tiles are enlarged to about that


def images_picture(images: Tensor, *, most: int = 16) -> Tensor:
    """A grid of the first images.

    Args:
        images: (N, C, H, W) from 0 to 1; of neither 1 nor 3 channels the first is shown.
        most: images to show.

    Returns:
        (3, H', W') from 0 to 1.
    """
    return _grid(images[:most].detach().float())


def filters_picture(net: nn.Module, *, most: int = 64) -> Tensor | None:
    """A grid of the first convolution's filters, each stretched to the full range by itself.

    Filters over 3 channels are shown in colour, others slice by slice in grey.

    Args:
        net: the network.
        most: tiles to show.

    Returns:
        (3, H', W') from 0 to 1; None for a network without a two-dimensional convolution.
    """
    tiles = next((m.weight for m in net.modules() if isinstance(m, nn.Conv2d)), None)
    if tiles is None:
        return None
    if tiles.shape[1] != 3:
        tiles = tiles.flatten(0, 1).unsqueeze(1)
    return _grid(stretched(tiles[:most]))


def _grid(tiles: Tensor) -> Tensor:
    """(N, C, H, W) from 0 to 1, in rows with a line of one grey pixel around each tile."""
    pixels = magnified(coloured(tiles), max(1, math.ceil(_TILE / max(tiles.shape[2:]))))
    sheet = mosaic(pixels, columns=math.ceil(math.sqrt(len(tiles))), edge=1, ground=0.5)
    return torch.from_numpy(sheet).permute(2, 0, 1)
