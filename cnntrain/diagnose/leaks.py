"""Images of the split that measures which training has, too: the same, or nearly the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch

from cnntrain.diagnose.neighbours import Sample, distances
from cnntrain.diagnose.report import Finding

FOUND = 0.01
"""Share of a split's images, from which on it is a fault."""

TWIN = 0.3
"""An image is nearly the same as another one, if it is this much nearer to it than to any third:
the ratio test of Lowe, "Distinctive Image Features from Scale-Invariant Keypoints", 2004, section
7.1. Its threshold there, 0.8, is for matches; copies saved again have less than 0.2, and different
images of handwritten digits or photographs more than 0.5, but for a few in a thousand."""

FEWEST = 3
REMEDY = "take them out of training: the {} error is too good to be true"


def leaks(
    train: Sample,
    other: Sample | None,
    *,
    counts: Mapping[str, Sequence[int]],
    shared: Mapping[str, Sequence[tuple[str, str]]],
) -> list[Finding]:
    """Test images among the training images.

    Args:
        train: of the training images.
        other: of the validation or test images.
        counts: images per class of each split.
        shared: of each other split, the images that training has too, byte by byte.
    """
    found = [_same(split, pairs, sum(counts[split])) for split, pairs in shared.items() if pairs]
    if found or other is None:
        return found
    return _nearly_the_same(train, other)


def _same(split: str, pairs: Sequence[tuple[str, str]], images: int) -> Finding:
    return Finding(
        "test_in_train",
        f"{len(pairs)} of the {images} {split} images are training images, too",
        f"such as {pairs[0][1]}, which is {pairs[0][0]} of training",
        REMEDY.format(split) + " (`cnntrain data check` lists them)",
        is_certain=len(pairs) >= FOUND * images,
    )


def _nearly_the_same(train: Sample, other: Sample) -> list[Finding]:
    """Copies that were saved again, scaled or cut a little."""
    is_finite = train.images.isfinite().all() and other.images.isfinite().all()
    if len(train.images) < 2 or not len(other.images) or not is_finite:
        return []
    nearest, second = distances(train, other).topk(2, largest=False).values.unbind(dim=1)
    twins = int((nearest < TWIN * second).sum())
    if twins < max(FEWEST, math.ceil(FOUND * len(other.images))):
        return []
    ratio = float((nearest / second.clamp_min(torch.finfo(second.dtype).tiny)).min())
    return [
        Finding(
            "test_in_train",
            f"{twins} of {len(other.images)} {other.split} images are nearly the same as a "
            "training image",
            f"they are at least {1 / TWIN:.0f} times as near to it as to the next one (the nearest "
            f"{1 / max(ratio, 1e-3):.0f} times), among {len(train.images)} training images that "
            "were looked at",
            REMEDY.format(other.split) + "; look for copies that were saved again or scaled",
        )
    ]
