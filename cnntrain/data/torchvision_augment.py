"""Augmentations of other libraries: of one 8-bit image, with torch's global random numbers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def each_image(
    images: Tensor, generator: torch.Generator, augment: Callable[[Tensor], Tensor]
) -> Tensor:
    """Augment each image of a batch; the process's random numbers stay as they were.

    Pixels as numbers from 0 to 1 are rounded to 8 bits before, and become such numbers again.

    Args:
        images: `(N, C, H, W)` uint8 or float from 0 to 1.
        generator: seeds what is drawn.
        augment: of `(C, H, W)` uint8, with random numbers from torch's generator of the CPU.

    Raises:
        ValueError: the images are neither grey nor RGB.
    """
    if images.shape[1] not in (1, 3):
        raise ValueError(f"works on grey and RGB images, not on {images.shape[1]} channels")
    pixels = images.mul(255).round_().to(torch.uint8) if images.is_floating_point() else images
    seed = torch.randint(2**62, (), generator=generator, device=generator.device)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(seed))
        done = torch.stack([augment(image) for image in pixels])
    return done.float().div_(255) if images.is_floating_point() else done
