"""Are the pixels where they belong? In an image the nearest pixels are the most alike."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import Tensor

from cnntrain.diagnose.neighbours import Sample
from cnntrain.diagnose.report import Finding

SMALLEST = 8
"""Pixels a side from which on images are judged."""

CLEARER = 0.2
"""By how much neighbours must be more alike where the order of the bytes is another one. Of
photographs 0.85 to 0.95 is usual, and 0.3 to 0.6 where their colours are taken for neighbours."""


NOISE = 0.1
"""Correlation of neighbours below which nothing is seen in an image; of photographs it is 0.9."""


def misread(train: Sample) -> Iterator[Finding]:
    """Images stored as height x width x channel that were read as channel x height x width."""
    images = train.images
    channels, *sides = images.shape[1:]
    if channels < 2 or min(sides) < SMALLEST or not images.isfinite().all():
        return
    put_right = images.reshape(len(images), *sides, channels).permute(0, 3, 1, 2)
    as_read, otherwise = neighbouring(images), neighbouring(put_right)
    # where colours are flat, or only noise is left, neighbours are not alike in any order
    is_interleaved = neighbouring(images, steps=channels) > as_read + CLEARER
    if otherwise < as_read + CLEARER or not is_interleaved:
        return
    yield Finding(
        "misread_pixels",
        "the pixels are not where they belong: colours stand beside each other as if they were "
        "neighbours",
        f"read as height x width x {channels} values neighbours are alike to {otherwise:.2f} "
        f"(correlation), as {channels} x height x width, as they are, to {as_read:.2f}",
        "permute the axes of the array where the images are made, in place of `reshape`",
    )


def neighbouring(images: Tensor, *, steps: int = 1) -> float:
    """Mean correlation of a pixel with the one so many steps on in its row, and the next below."""
    centred = images.float() - images.float().mean(dim=(2, 3), keepdim=True)
    both = []
    for first, second in (
        (centred[..., :-steps], centred[..., steps:]),
        (centred[..., :-1, :], centred[..., 1:, :]),
    ):
        size = math.sqrt(float(first.square().sum()) * float(second.square().sum()))
        both.append(float((first * second).sum()) / max(size, 1e-12))
    return (both[0] + both[1]) / 2
