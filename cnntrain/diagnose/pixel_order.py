"""Are the pixels where they belong? In an image the nearest pixels are the most alike."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor

from cnntrain.diagnose.neighbours import Sample
from cnntrain.diagnose.report import Finding
from cnntrain.show.words import listed

SMALLEST = 8
"""Pixels a side from which on images are judged."""

BARE = 0.05
"""Share of the usual deviation from image to image up to which a row or column is the same in all
of them."""

CLEARER = 0.2
"""By how much neighbours must be more alike where the order of the bytes is another one. Of
photographs 0.85 to 0.95 is usual, and 0.3 to 0.6 where their colours are taken for neighbours."""

NOISE = 0.15
"""Correlation of neighbours below which images look like noise. Of drawings and photographs it is
0.35 or more, of the latter 0.9; of images that were misread, or taken in the dark, 0.1 or less."""

FARTHER = 0.8
"""Rows or columns some places away differ by less than this share of what neighbours do, where they
were put together wrongly; of images as they should be by 1.05 times as much, or more."""

SEAM = 2.0
"""Along a seam pixels differ so many times as much as two places away on both sides; of images of
one piece 1.15 times at the most."""

SHOWN = 0.5
"""Share of the images that have the seam, each for itself: of small sets with a plain background a
few images have an edge in the same place, and the others nothing."""

PASTED = 2
"""Seams at the most of images of which some were pasted into others."""

KNOWN = 0.5
"""Images whose neighbours have the same label so often, from chance (0) to always (1), may look odd
and be right: what is found is a suspicion."""


def misread(train: Sample, kappa: float = 0.0) -> Iterator[Finding]:
    """Pixels that stand elsewhere than they should, and what is no picture at all.

    Args:
        train: some of the training images.
        kappa: how well nearest neighbours know their classes.
    """
    images = train.images
    if min(images.shape[2:]) < SMALLEST or not images.isfinite().all():
        return
    found = _interleaved(images) or _wrapped(images) or _noise(images) or _seam(images)
    if found is not None:
        yield replace(found, is_certain=found.is_certain and kappa < KNOWN)


def _interleaved(images: Tensor) -> Finding | None:
    """Images stored as height x width x channel that were read as channel x height x width."""
    channels, *sides = images.shape[1:]
    if channels < 2:
        return None
    put_right = images.reshape(len(images), *sides, channels).permute(0, 3, 1, 2)
    as_read, otherwise = neighbouring(images), neighbouring(put_right)
    # where colours are flat, or only noise is left, neighbours are not alike in any order
    is_interleaved = neighbouring(images, steps=channels) > as_read + CLEARER
    if otherwise < as_read + CLEARER or not is_interleaved:
        return None
    return Finding(
        "misread_pixels",
        "the pixels are not where they belong: colours stand beside each other as if they were "
        "neighbours",
        f"read as height x width x {channels} values neighbours are alike to {otherwise:.2f} "
        f"(correlation), as {channels} x height x width, as they are, to {as_read:.2f}",
        "permute the axes of the array where the images are made, in place of `reshape`",
    )


def _wrapped(images: Tensor) -> Finding | None:
    """Rows of another width, or rows and columns of several images in turn."""
    tried: list[tuple[float, int, str]] = []
    for axis, what in ((2, "row"), (3, "column")):
        side = images.shape[axis]
        apart = [_difference(images, axis, by) for by in range(1, side // 2 + 1)]
        tried += [(far / max(apart[0], 1e-12), by, what) for by, far in enumerate(apart[1:], 2)]
    share, by, what = min(tried)
    if share >= FARTHER:
        return None
    return Finding(
        "misread_pixels",
        f"the pixels are not where they belong: every {_ordinal(by)} {what} is more like the next "
        f"such one than like the {what} beside it",
        f"{what}s {by} places apart differ by {share:.0%} of what neighbours do; in a picture they "
        "differ by more",
        "look at how files or arrays were read: a width that is not the file's, `numpy.resize` or "
        "`reshape` in place of an image's resize, or the lines of several images in turn",
    )


def _ordinal(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")


def _difference(images: Tensor, axis: int, by: int) -> float:
    kept = images.shape[axis] - by
    return float((images.narrow(axis, by, kept) - images.narrow(axis, 0, kept)).abs().mean())


def _noise(images: Tensor) -> Finding | None:
    alike = neighbouring(images)
    if alike >= NOISE:
        return None
    return Finding(
        "misread_pixels",
        "the images look like noise: the pixels are not where they belong, or nothing is there",
        f"neighbours are alike to {alike:.2f} (correlation); of photographs 0.9 is usual, of "
        "drawings 0.5",
        "look at them with `cnntrain data show`, and at how files or arrays were read: was an "
        "array reshaped that should have been transposed, were bytes, palette or bit depth taken "
        "for others, was there too little light?",
        follows=("same_picture",),
    )


def _seam(images: Tensor) -> Finding | None:
    """A line in the same place of all images at which they do not continue.

    Beside a border or a covered area, where pixels are the same in all images, there is none.
    """
    found: list[tuple[float, float, str]] = []
    varies = images.std(dim=0, correction=0).mean(dim=0)
    for axis, what in ((2, "row"), (3, "column")):
        each = images.diff(dim=axis).abs().mean(dim=(1, 5 - axis))
        steps = each.mean(dim=0)
        beside = varies.mean(dim=3 - axis)
        least = BARE * float(beside.mean())
        for at in range(2, len(steps) - 2):
            around = [at - 2, at - 1, at + 1, at + 2]
            share = float((each[:, at] > each[:, around].amax(1)).float().mean())
            ratio = float(steps[at]) / max(float(steps[around].max()), 1e-12)
            is_between = min(float(beside[at]), float(beside[at + 1])) > least
            if is_between and share >= SHOWN and ratio >= SEAM:
                found.append((ratio, share, f"{what} {at + 1}"))
    if not found:
        return None
    ratio, share, place = max(found)
    headline = "images are put together of two that do not belong together: there is a seam behind "
    headline += place
    remedy = "were images cut from a sheet at wrong places, or two pasted into one? Cut them along "
    remedy += "the seam"
    if len(found) > PASTED:
        places = listed([where for *_, where in found])
        headline = f"there are blocks in the same places of all images: behind {places}"
        remedy = "were tiles put together, or is there something behind what they show?"
    return Finding(
        "misread_pixels",
        headline,
        f"pixels on both sides of it differ {ratio:.1f} times as much as those beside it do, and "
        f"more than these in {share:.0%} of the images",
        f"look at them with `cnntrain data show`: {remedy}",
        is_certain=False,
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
