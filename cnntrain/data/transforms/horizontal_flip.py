"""Mirror images left to right."""

from __future__ import annotations

import torch
from torch import Tensor

from cnntrain.core.kinds import Fraction
from cnntrain.core.seeding import derive_seed
from cnntrain.data import transform
from cnntrain.data.on_device import sent
from cnntrain.data.transform_parts import SameSize, Showing, chosen

_LARGE = 1 << 14
"""Values of an image from which on copying it takes longer than the call that does it."""


@transform("horizontal_flip", random=True)
class HorizontalFlip(SameSize):
    """Mirror each image left to right with a probability. Not for digits or letters.

    Args:
        probability: of an image to be mirrored.
        alternate: each image is mirrored in every second epoch, half of them in the first: two
            epochs show both sides of all images, by chance only of half of them (Jordan, "94% on
            CIFAR-10 in 3.29 Seconds on a Single GPU", 2024, section 3.6).
    """

    def __init__(self, *, probability: Fraction = 0.5, alternate: bool = False) -> None:
        if alternate and probability != 0.5:
            raise ValueError(
                f"alternate mirrors half of the images, so probability {probability:g} would have "
                "no effect; remove one of the two"
            )
        self.probability = probability
        self.reads_shown = alternate

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Mirror some of `(N, C, H, W)`."""
        return _mirrored(images, chosen(len(images), self.probability, generator))

    def shown(self, images: Tensor, shown: Showing) -> Tensor:
        """Mirror those of `(N, C, H, W)` whose turn it is."""
        first = _scattered(shown.positions, derive_seed(shown.seed, "mirrored first")) & 1
        picked = (first + shown.epoch) % 2 == 0
        return _mirrored(images, sent(picked[:, None, None, None], images.device))


def _mirrored(images: Tensor, picked: Tensor) -> Tensor:
    """`(N, C, H, W)`, mirrored left to right where `(N, 1, 1, 1)` says so."""
    count = len(images)
    if images.device.type != "cpu":
        return torch.where(picked, images.flip(3), images)
    picked = picked.flatten()
    if 0 < _LARGE * count <= images.numel():
        pairs = zip(torch.split(images, 1), picked.tolist(), strict=True)
        return torch.cat([image.flip(3) if is_picked else image for image, is_picked in pairs])
    # whole images are copied from one of two lists: five times as fast as torch.where on a CPU
    numbers = torch.arange(count) + count * picked
    both = torch.cat([images, images.flip(3)])
    if both.is_contiguous(memory_format=torch.channels_last):  # index_select knows no layouts
        return both.permute(0, 2, 3, 1).index_select(0, numbers).permute(0, 3, 1, 2)
    return both.index_select(0, numbers)


def _scattered(numbers: Tensor, seed: int) -> Tensor:
    """Numbers int64 that look random, each a function of its own number and the seed.

    The last steps of SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
    Generators", 2014, figure 16), modulo 2^64.
    """
    mixed = numbers + seed
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ _shifted(mixed, shift)) * (factor - 2**64)
    return mixed ^ _shifted(mixed, 31)


def _shifted(numbers: Tensor, by: int) -> Tensor:
    """To the right, with zeros from the left whatever the sign."""
    return (numbers >> by).bitwise_and(2 ** (64 - by) - 1)
