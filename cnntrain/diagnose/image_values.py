"""What the pixels of a split say by themselves: their scale, and those of another split."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from cnntrain.diagnose.neighbours import Sample
from cnntrain.diagnose.report import Finding
from cnntrain.show.words import listed

FAR = 0.8
"""Distance of the mean images of two splits, in deviations from image to image."""

SCALE = (0.05, 5.0)
"""Deviation of the pixels that a network reads well."""

FEWEST = 10
"""Images from which on they are compared with each other."""

COVERED, SAME = (0.2, 0.5), 1e-3
"""Share of the middle of the images that is the same in all, for a suspicion and for a fault; the
same is what deviates by this share of the most that any pixel does."""

OFF_CENTRE = 3.0
"""Mean of the pixels, in their deviations."""


def not_finite(train: Sample) -> Iterator[Finding]:
    """Images with values that are none."""
    bad = int((~train.images.isfinite().flatten(1).all(dim=1)).sum())
    if bad:
        yield Finding(
            "not_finite",
            f"{bad:,} of {len(train.images):,} training images hold values that are not finite",
            "after the transforms of evaluation",
            "look at the transforms: normalize with a std of 0?",
        )


def unlike(train: Sample, other: Sample | None) -> Iterator[Finding]:
    """Whether the images of another split are of another kind than those of training."""
    if other is None or not other.images.isfinite().all():
        return
    distance, what = max(_distances(train.images, other.images))
    if distance > FAR:
        yield Finding(
            "splits_differ",
            f"the {other.split} images are not like the training images",
            f"their {what} differs by {distance:.1f} deviations from image to image",
            f"prepare both alike: look at `data.transforms` and at the files of {other.split}",
            follows=("same_picture",),
        )


def _distances(ours: Tensor, theirs: Tensor) -> Iterator[tuple[float, str]]:
    """How far apart brightness, contrast, sharpness and colour are, in deviations from image to
    image."""
    least = max(0.05 * float(ours.float().std()), 1e-6)
    a, b = (images.float().flatten(1) for images in (ours, theirs))
    measures = [
        ("brightness", a.mean(dim=1), b.mean(dim=1)),
        ("contrast", a.std(dim=1, correction=0), b.std(dim=1, correction=0)),
        ("sharpness", _sharpness(ours), _sharpness(theirs)),
    ]
    if ours.shape[1] > 1:
        measures.append(("colour", _colour(ours), _colour(theirs)))
    for what, x, y in measures:
        yield abs(float(x.mean() - y.mean())) / max(float(x.std(correction=0)), least), what


def _sharpness(images: Tensor) -> Tensor:
    """Of each image: the mean step from a pixel to the next one, in deviations of its pixels."""
    steps = images.float().diff(dim=-1).abs().flatten(1)
    deviation = images.float().flatten(1).std(dim=1, correction=0).clamp_min(1e-6)
    return steps.mean(dim=1) / deviation if steps.numel() else torch.zeros_like(deviation)


def _colour(images: Tensor) -> Tensor:
    """Of each image: how much its channels say that the first one does not, as a power of ten.

    1 minus their correlation, whatever their scales; grey images, whose channels are the same, have
    1e-6.
    """
    channels = images.float().flatten(2)
    centred = channels - channels.mean(dim=2, keepdim=True)
    units = centred / centred.norm(dim=2, keepdim=True).clamp_min(1e-12)
    alike = (units[:, :1] * units[:, 1:]).sum(dim=2)
    own: Tensor = (1 - alike).clamp_min(1e-6).log10()
    return own.mean(dim=1)


def value_findings(train: Sample) -> Iterator[Finding]:
    """Channels that say nothing, and pixels of a scale that hinders learning."""
    if not train.images.isfinite().all():
        return
    mean, deviation = channel_statistics(train.images)
    centre, scale = float((mean.abs() / deviation).max()), float(deviation.mean())
    empty = [str(i) for i, value in enumerate(deviation.tolist()) if value < 1e-6]
    if empty:
        yield Finding(
            "constant_channel",
            f"channel {listed(empty)} of the images is the same everywhere",
            f"deviation 0 over {len(train.images):,} images, in {len(empty)} of {len(deviation)} "
            "channels, so the network sees nothing in it",
            "look at the files: was a channel lost when they were written?",
        )
    elif (covered := _covered(train.images)) >= COVERED[0]:
        yield Finding(
            "constant_channel",
            f"{covered:.0%} of the middle of the images is the same in all of them",
            f"deviation 0 from image to image over {len(train.images):,} images",
            "look at them with `cnntrain data show`: something covers them, or they were put "
            "together wrongly",
            is_certain=covered >= COVERED[1],
        )
    elif not SCALE[0] <= scale <= SCALE[1] or centre > OFF_CENTRE:
        yield Finding(
            "not_normalised",
            f"the network's input has mean {float(mean.mean()):.3g} and deviation {scale:.3g}; it "
            "should be near 0 and 1",
            "channel by channel: mean " + ", ".join(f"{v:.3g}" for v in mean.tolist()[:4]),
            "add `normalize` to both lists of `data.transforms`, without mean and std of its own",
        )


def _covered(images: Tensor) -> float:
    """Share of the middle half of height and width where all images are the same."""
    height, width = images.shape[2:]
    middle = images[..., height // 4 : height - height // 4, width // 4 : width - width // 4]
    if len(images) < FEWEST:
        return 0.0
    deviation = middle.std(dim=0, correction=0).amax(dim=0)
    return float((deviation <= SAME * images.std(dim=0, correction=0).max()).double().mean())


def channel_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel, `(C,)` each, of images `(N, C, H, W)`."""
    values = images.double().transpose(0, 1).flatten(1)
    return values.mean(dim=1), values.std(dim=1, correction=0)
