"""Random numbers for a batch, and pixels as numbers from 0 to 1."""

from __future__ import annotations

import torch
from torch import Tensor


def uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """`(count,)` numbers between `low` and `high`, on the generator's device."""
    return torch.rand(count, generator=generator, device=generator.device) * (high - low) + low


def chosen(count: int, probability: float, generator: torch.Generator) -> Tensor:
    """`(count, 1, 1, 1)` booleans, each true with that probability."""
    drawn = torch.rand(count, 1, 1, 1, generator=generator, device=generator.device)
    return drawn < probability


def per_image(values: Tensor) -> Tensor:
    """`(N,)` as `(N, 1, 1, 1)`."""
    return values[:, None, None, None]


def unit(images: Tensor) -> Tensor:
    """Pixels as float32 from 0 to 1; float images are returned as they are."""
    return images if images.is_floating_point() else images.float().div_(255)


def as_pair(size: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width; one number means both."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])
