"""Images that are one and the same, copies of a few, or as good as empty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from cnntrain.diagnose.neighbours import FEW_VALUES, Sample, distances
from cnntrain.diagnose.pixel_order import KNOWN
from cnntrain.diagnose.report import Finding
from cnntrain.show.words import listed

REPEATED = 0.05
"""Share of the images that are one and the same picture, with labels of several classes."""

COPIED, LEAST = 5, 20
"""A class consists of copies where there are this many images of it for each different one; of
fewer images than the second nothing is said."""

TWICE, MANY_TWICE = 0.02, 0.1
"""Share of the images that are there again with another label, for a suspicion, and for a fault."""

JUMP, NEARLY = 1.5, 0.5
"""Images are nearly copies where one that is of another picture is this many times as far away as
those of the same picture, for this share of them. Of digits, drawings and photographs the largest
jump is 1.05."""

HALF = 0.5
"""Share of the images that have that value in common; of images of one colour each has its own."""

MOST_OF_CLASS = 0.75
"""A jump beyond this share of a class shows that classes differ."""

BARE, LEVELS = 0.95, 3
"""Images are as good as empty where this share of the pixels of most has one value. That is a fault
where there are no more values than these in all of them, or where neighbours have the same label
less often than `KNOWN`; of strokes on paper 0.8 is usual."""


def same_pictures(
    train: Sample, class_names: Sequence[str], kappa: float = 0.0
) -> Iterator[Finding]:
    """What stands in the place of images that show something of their own.

    Args:
        train: some of the training images.
        class_names: of the classes.
        kappa: how well nearest neighbours know their classes.
    """
    values = train.images.flatten(1)
    if values.shape[1] <= FEW_VALUES:
        return
    pictures, which, times = torch.unique(values, dim=0, return_inverse=True, return_counts=True)
    most = int(times.argmax())
    labels = int(torch.bincount(train.targets[which == most]).count_nonzero())
    if labels > 1 and times[most] >= REPEATED * len(values):
        is_empty = bool(pictures[most].max() == pictures[most].min())
        what = "are empty" if is_empty else "are one and the same picture"
        yield _finding(
            f"{int(times[most]):,} of {len(values):,} training images {what}",
            f"with labels of {labels} classes, so nothing can be learnt from them",
            "; take them out",
        )
    else:
        yield from _copies(train.targets, which, class_names)
        yield from _near_copies(train)
        yield from _bare(train.images, kappa)


def labelled_twice(doubled: Sequence[tuple[str, str]], *, images: int) -> Iterator[Finding]:
    """Images that are there again with another label: one of the two is wrong."""
    if len(doubled) <= TWICE * images:
        return
    again, first = doubled[0]
    yield Finding(
        "labels_noisy",
        f"{len(doubled):,} of {images:,} training images are there again with another label",
        f"such as {again}, which is {first}",
        "keep one of each two, under its own class: were files unpacked twice, or merged from two "
        "lists? `cnntrain data check` lists them",
        is_certain=len(doubled) > MANY_TWICE * images,
        follows=("same_picture",),
    )


def _copies(targets: Tensor, which: Tensor, names: Sequence[str]) -> Iterator[Finding]:
    """Classes of a few images that were copied until they were as many as others."""
    images = torch.bincount(targets, minlength=len(names))
    pairs = torch.unique(torch.stack([targets, which]), dim=1)
    different = torch.bincount(pairs[0], minlength=len(names))
    odd = (images >= LEAST) & (different * COPIED <= images)
    if not odd.any():
        return
    worst = int((different / images).where(odd, 2.0).argmin())
    copied = listed([f"'{names[label]}'" for label in odd.nonzero().flatten().tolist()])
    yield _finding(
        f"of '{names[worst]}' {int(images[worst]):,} training images are copies of "
        f"{int(different[worst])}",
        f"so of {copied}, {int(odd.sum())} of {len(names)} classes, a few images are memorised, "
        "and others of the class are not known",
        ", and take more of these classes; augmentation makes copies differ",
    )


def _near_copies(train: Sample) -> Iterator[Finding]:
    """A few pictures, each of them many times with slight changes: frames of a film, noise, crops.

    Each image's distances to others are sorted: between copies and other pictures they jump, before
    there are as many as most of its class.
    """
    count, of_class = len(train.images), torch.bincount(train.targets)[train.targets]
    if count < LEAST or not train.images.isfinite().all():
        return
    far = distances(train, train).sort(dim=1).values[:, COPIED - 2 : int(of_class.max())]
    if far.shape[1] < 2:  # too few images of each class
        return
    jumps = far[:, 1:] / far[:, :-1].clamp_min(1e-6 * float(far.median()) + 1e-12)
    is_within = torch.arange(jumps.shape[1]) + COPIED < MOST_OF_CLASS * of_class[:, None]
    largest = jumps.where(is_within, 0.0).max(dim=1)
    is_copied = largest.values >= JUMP
    if float(is_copied.double().mean()) < NEARLY:
        return
    copies = largest.indices[is_copied].double() + COPIED
    pictures = max(1, round(count / float(copies.mean())))
    yield _finding(
        f"{count:,} training images are nearly copies of about {pictures} pictures",
        f"{float(is_copied.double().mean()):.0%} of them have at least {COPIED - 1} others so near "
        f"that the next one is {float(largest.values.median()):.1f} times as far away",
        ", and take more that are different; the frames of one film belong into one split, and "
        "count as one image",
    )


def _bare(images: Tensor, kappa: float) -> Iterator[Finding]:
    """Images in which next to nothing is left of what they showed."""
    values = images.flatten(2)
    ground = values.mode(dim=2, keepdim=True).values
    usual = (ground == ground.mode(dim=0, keepdim=True).values).double().mean()
    same = (values == ground).double().mean(dim=(1, 2)).median()
    if same >= BARE and usual >= HALF:
        levels = len(torch.unique(values))
        yield _finding(
            f"the training images are as good as empty: {float(same):.0%} of the pixels of one "
            "have one value",
            f"in all {len(values):,} that were looked at there are {levels} different values",
            "; were numbers from 0 to 1 cast to integers, was the range of grey set wrongly, or "
            "are the objects far smaller than the images?",
            is_certain=levels <= LEVELS or kappa < KNOWN,
        )


def _finding(headline: str, evidence: str, more: str, *, is_certain: bool = True) -> Finding:
    look = "look at the files, and at how they were written: `cnntrain data check`"
    return Finding("same_picture", headline, evidence, f"{look}{more}", is_certain=is_certain)
