"""What transforms share: random numbers for a batch, and pixels as numbers from 0 to 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from cnntrain.data.on_device import SendingConstants, on_host


class SameSize:
    """Part of a transform that leaves the images' size as it is."""

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """The same size."""
        return size


@dataclass(frozen=True)
class Showing:
    """Which images a batch shows, and when.

    A transform with a true attribute `reads_shown` is called as `shown(images, shown)` by a loader:
    what it does to an image follows from these alone, not from random numbers.

    Args:
        positions: of its images in the split, `(N,)` int64 on the CPU.
        epoch: from 1.
        seed: of the run.
    """

    positions: Tensor
    epoch: int
    seed: int


def as_pair(size: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width; one number means both."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def unit(images: Tensor) -> Tensor:
    """Pixels as float32 from 0 to 1; float images are returned as they are."""
    return images if images.is_floating_point() else images.float().div_(255)


def stored_as(images: Tensor, result: Tensor) -> Tensor:
    """The result, rounded to 8 bits where the images have 8."""
    return result if images.is_floating_point() else result.round_().clamp_(0, 255).to(images.dtype)


def uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """`(count,)` numbers between `low` and `high`, on the generator's device."""
    return torch.rand(count, generator=generator, device=generator.device) * (high - low) + low


def chosen(count: int, probability: float, generator: torch.Generator) -> Tensor:
    """`(count, 1, 1, 1)` booleans, each true with that probability."""
    drawn = torch.rand(count, 1, 1, 1, generator=generator, device=generator.device)
    return drawn < probability


def rectangles(
    drawn: Tensor, area: int, *, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Sides in whole pixels, of uniform area and log-uniform ratio (first : second).

    Args:
        drawn: `(2, ...)` numbers from 0 to 1.
        area: of the image, in pixels.
        scale: the rectangles' share of it, from and to.
        ratio: from and to.
    """
    areas = area * (scale[0] + drawn[0] * (scale[1] - scale[0]))
    low, high = math.log(ratio[0]), math.log(ratio[1])
    ratios = torch.exp(low + drawn[1] * (high - low))
    return (areas * ratios).sqrt().round(), (areas / ratios).sqrt().round()


def per_image(values: Tensor) -> Tensor:
    """`(N,)` as `(N, 1, 1, 1)`."""
    return values[:, None, None, None]


def each_image(
    images: Tensor, generator: torch.Generator, augment: Callable[[Tensor], Tensor]
) -> Tensor:
    """Another library's augmentation of each image; the process's random numbers stay as they were.

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
    seed = torch.randint(2**62, (), generator=on_host(generator))
    with torch.random.fork_rng(devices=[]), nullcontext() if images.is_cpu else SendingConstants():
        torch.default_generator.manual_seed(int(seed))
        done = torch.stack([augment(image) for image in pixels])
    return done.float().div_(255) if images.is_floating_point() else done
