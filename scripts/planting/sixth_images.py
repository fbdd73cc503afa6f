"""Further ways in which the images of both splits go wrong on their way from the disk."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from planting.fourth_images import drawn
from planting.spoilings import Given, same_labels, spoiling
from torch import Tensor

from cnntrain.data.splits import Pixels

IN_BOTH = (
    *("mean_subtracted_in_bytes", "alpha_read_as_image", "components_in_place_of_pixels"),
    *("transparent_parts_uncovered", "sixteen_bits_read_as_eight"),
)
"""What of the sixth lot changes training and validation images alike."""

Both = tuple[Pixels, Pixels]


def _each(given: Given, change: Callable[[Pixels], Pixels]) -> Both:
    return change(given.train), change(given.other)


def shows_object(images: Tensor, least: float) -> Tensor:
    """Where an image differs by so much from what is seen at its edges, `(N, 1, H, W)`."""
    pixels = images.float()
    edge = torch.cat([pixels[:, :, 0], pixels[:, :, -1], pixels[..., 0], pixels[..., -1]], dim=2)
    behind = edge.median(dim=2).values[:, :, None, None]
    return (pixels - behind).abs().amax(1, keepdim=True) > least


@spoiling
def mean_subtracted_in_bytes(given: Given) -> Both:
    """The mean image was taken off while pixels were still bytes, which cannot be negative.

    The cause: what is a little darker than the mean wraps around and becomes white, in both splits:
    brightness is torn where it crosses the mean. Convert pixels to floats before subtracting.
    """
    mean = given.train.images.float().mean(0).round().int()

    def centred(part: Pixels) -> Pixels:
        return same_labels(part, (part.images.int() - mean) % 256)

    return _each(given, centred)


@spoiling
def alpha_read_as_image(given: Given) -> Both:
    """Of pictures with transparency the last channel was read, which is their opacity.

    The cause: all images are the same white one with rounded corners, in both splits; what they
    show is in the channels that were left out. Convert files to grey or RGB when reading.
    """
    size = given.train.images.shape[-1]
    far = (torch.arange(size) - (size - 1) / 2).abs()
    corner = (far - size / 4).clamp(min=0)
    alpha = 255 * (corner[:, None].hypot(corner[None]) <= size / 4)

    def read(part: Pixels) -> Pixels:
        return same_labels(part, alpha.expand(part.images.shape))

    return _each(given, read)


@spoiling
def components_in_place_of_pixels(given: Given) -> Both:
    """Principal components of the images were laid out as an image again, for a convolution.

    The cause: neighbours in such an image have nothing to do with each other, and each component
    weighs as much as any, be it noise; this is so in both splits. Give pixels to a convolutional
    network, or components to dense layers.
    """
    pixels = given.train.images.flatten(1).float()
    mean = pixels.mean(0)
    _, vectors = torch.linalg.eigh((pixels - mean).T @ (pixels - mean))
    spread = ((pixels - mean) @ vectors).std(0).clamp(min=0.1)

    def laid_out(part: Pixels) -> Pixels:
        scores = (part.images.flatten(1).float() - mean) @ vectors / spread
        return same_labels(part, 128 + 40 * scores.flip(1).view(part.images.shape))

    return _each(given, laid_out)


@spoiling
def transparent_parts_uncovered(given: Given) -> Both:
    """The transparency of cut-out pictures was dropped, so that what lay below it is seen again.

    The cause: around each object there are remains of other things, blocks of any brightness that
    were never meant to be seen, in both splits. Lay such pictures over a plain background.
    """

    def uncovered(part: Pixels) -> Pixels:
        shape = (len(part), part.channels, 6, 6)
        blocks = 255 * torch.rand(shape, generator=given.generator)
        behind = F.interpolate(blocks, size=part.size, mode="nearest")
        is_object = shows_object(part.images, 60 + 40 * given.amount)
        return same_labels(part, torch.where(is_object, part.images, behind))

    return _each(given, uncovered)


@spoiling
def sixteen_bits_read_as_eight(given: Given) -> Both:
    """Raw files with two bytes for each value were read as if they had one.

    The cause: every other pixel is a low byte, which is noise, and an image ends where half of its
    values have been read: the rest of it is missing. This is so in both splits. Read values of 16
    bits, and scale them.
    """

    def read(part: Pixels) -> Pixels:
        high = part.images.flatten(1)
        low = drawn(given, 256, high.numel()).view(high.shape).to(torch.uint8)
        stream = torch.stack([low, high], dim=2).flatten(1)
        return Pixels(stream[:, : high.shape[1]].view(part.images.shape), part.targets)

    return _each(given, read)
