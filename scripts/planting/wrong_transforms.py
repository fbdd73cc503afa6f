"""Transforms as somebody writes them for a run, each with a mistake; see third_data.py."""

from __future__ import annotations

import torch
from torch import Tensor

from cnntrain.core.kinds import Positive
from cnntrain.data import transform


class _SameSize:
    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Unchanged."""
        return size


@transform("shuffled_batch", random=True)
class ShuffledBatch(_SameSize):
    """Mix the images of a batch: the labels, which a transform is not given, stay in order."""

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` in another order."""
        order = torch.randperm(len(images), generator=generator, device=images.device)
        return images[order]


@transform("first_of_batch", random=True)
class FirstOfBatch(_SameSize):
    """A little noise on the first image, which is then broadcast over the whole batch."""

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)`, all nearly alike."""
        pixels = images.float() / 255 if images.dtype == torch.uint8 else images
        noise = torch.randn(images.shape, generator=generator, device=images.device)
        return pixels[:1] + 0.02 * noise


@transform("to_bytes")
class ToBytes(_SameSize):
    """Pixels as they are stored, from 0 to 255, as floats."""

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` to float32."""
        return images.float() if images.dtype == torch.uint8 else images * 255


@transform("shuffled_grid", random=True)
class ShuffledGrid(_SameSize):
    """Cut the images of a batch into tiles, and lay these in another order.

    Args:
        tiles: along each side, which they divide.
    """

    def __init__(self, *, tiles: Positive = 4) -> None:
        self.tiles = tiles

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)`; each image has an order of its own."""
        count, channels, height, width = images.shape
        rows, columns = height // self.tiles, width // self.tiles
        cut = images.reshape(count, channels, self.tiles, rows, self.tiles, columns)
        flat = cut.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
        keys = torch.rand(flat.shape[:2], generator=generator, device=images.device)
        laid = flat[torch.arange(count)[:, None], keys.argsort(1)]
        laid = laid.view(count, self.tiles, self.tiles, channels, rows, columns)
        return laid.permute(0, 3, 1, 4, 2, 5).reshape(images.shape)
