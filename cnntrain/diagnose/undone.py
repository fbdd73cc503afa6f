"""What may have been done to all images of a split, each with the way back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import permutations

import torch.nn.functional as F
from torch import Tensor

Change = Callable[[Tensor], Tensor]

SHIFTS = (-0.5, -0.375, -0.25, 0.25, 0.375, 0.5)
"""Of the width or height."""

GAINS = (0.25, 0.5, 2.0, 4.0)

SCALED = 4
"""Pixels a side from which on images may have been enlarged or made smaller."""


def undoing(images: Tensor) -> Iterator[tuple[str, Change]]:
    """What is said of images that were changed so, and what undoes it; the simplest first.

    Args:
        images: `(N, C, H, W)`, those that may have been changed.
    """
    low, high = images.amin(dim=(0, 2, 3), keepdim=True), images.amax(dim=(0, 2, 3), keepdim=True)
    yield "are inverted", partial(_inverted, around=low + high)
    if images.shape[1] == 3:
        for order in list(permutations(range(3)))[1:]:
            yield "have their channels in another order", partial(_reordered, order=list(order))
    yield "are upside down", partial(_flipped, axis=2)
    yield "are mirrored", partial(_flipped, axis=3)
    for turns in (1, 2, 3):
        if turns == 2 or images.shape[2] == images.shape[3]:
            yield f"are turned by {90 * turns} degrees", partial(_turned, turns=turns)
    for share in SHIFTS:
        yield "are moved sideways", partial(_moved, share=share, axis=3)
        yield "are moved up or down", partial(_moved, share=share, axis=2)
    for gain in GAINS:
        yield "have another contrast", partial(_spread, gain=gain)
    if min(images.shape[2:]) >= SCALED:
        yield "are enlarged, and only their middle is seen", partial(_shrunk, times=2)
        yield "are smaller, with more around them", partial(_enlarged, times=2)


def _inverted(images: Tensor, *, around: Tensor) -> Tensor:
    return around - images


def _reordered(images: Tensor, *, order: list[int]) -> Tensor:
    return images[:, order]


def _flipped(images: Tensor, *, axis: int) -> Tensor:
    return images.flip(axis)


def _turned(images: Tensor, *, turns: int) -> Tensor:
    return images.rot90(turns, (2, 3))


def _moved(images: Tensor, *, share: float, axis: int) -> Tensor:
    return images.roll(round(share * images.shape[axis]), axis)


def _spread(images: Tensor, *, gain: float) -> Tensor:
    return (images - images.mean()) * gain + images.mean()


def _shrunk(images: Tensor, *, times: int) -> Tensor:
    """The images at a part of their size, in the middle of their mean."""
    small = F.avg_pool2d(images, times)
    down, across = images.shape[2] - small.shape[2], images.shape[3] - small.shape[3]
    mean = images.mean(dim=(2, 3), keepdim=True)
    around = (across // 2, across - across // 2, down // 2, down - down // 2)
    return F.pad(small - mean, around) + mean


def _enlarged(images: Tensor, *, times: int) -> Tensor:
    """The middle of the images, at their size."""
    height, width = images.shape[2] // times, images.shape[3] // times
    top, left = (images.shape[2] - height) // 2, (images.shape[3] - width) // 2
    middle = images[:, :, top : top + height, left : left + width]
    return F.interpolate(middle, size=(images.shape[2], images.shape[3]), mode="bilinear")
