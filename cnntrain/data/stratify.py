"""Which images are held out: of each class in proportion, alone or in groups, or in folds."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from cnntrain.core.seeding import derive_seed

Positions = tuple[Tensor, Tensor]
"""Of the images that stay and of those held out, both in ascending order."""


def count_of(share: int | float, total: int, *, split: str) -> int:
    """The images that a share of `total` means: a count itself (int), or a fraction (float).

    Raises:
        ValueError: the fraction is not between 0 and 1, or not one image.
    """
    if isinstance(share, float) and not 0 < share < 1:
        raise ValueError(f"a fraction for {split} lies between 0 and 1, not {share}")
    wanted = round(share * total) if isinstance(share, float) else share
    if wanted < 1:
        raise ValueError(f"{split}: {share} of {total} training images is not one image")
    return wanted


def stratified_split(
    targets: Tensor,
    *,
    held_out: int | float,
    num_classes: int,
    seed: int,
    split: str = "validation",
) -> Positions:
    """Images held out, of each class in proportion to its size.

    Largest remainders get the images that rounding leaves over, and each class keeps at least one
    image for training.

    Args:
        targets: `(N,)` int64 classes.
        held_out: a count of images (int), or a fraction of them (float below 1).
        num_classes: classes, of which some may have no image.
        seed: decides, with the split's name, which images of each class are held out.
        split: what they are held out for.

    Raises:
        ValueError: that many images cannot be held out.
    """
    wanted = count_of(held_out, len(targets), split=split)
    counts = _counts_with_room(targets, wanted, num_classes, split)
    held = torch.zeros(len(targets), dtype=torch.bool)
    for number, share in enumerate(_allocate(counts, wanted)):
        members = (targets == number).nonzero().flatten()
        generator = torch.Generator().manual_seed(derive_seed(seed, split, number))
        held[members[torch.randperm(len(members), generator=generator)[:share]]] = True
    return _positions(held)


def grouped_split(
    targets: Tensor,
    groups: Tensor,
    *,
    held_out: int | float,
    num_classes: int,
    seed: int,
    split: str = "validation",
) -> Positions:
    """Whole groups of images held out: about so many images, each class about in proportion.

    The largest group first, equal ones in random order: a group is held out if that brings the
    counts of the classes nearer to those wanted (least squares), and training keeps an image of
    each class.

    Args:
        targets: `(N,)` int64 classes.
        groups: `(N,)` int64, from 0: images with one number stay together.
        held_out, num_classes, seed, split: as in `stratified_split`.

    Raises:
        ValueError: no group can be held out.
    """
    count = count_of(held_out, len(targets), split=split)
    counts = _counts_with_room(targets, count, num_classes, split)
    wanted = torch.tensor(_allocate(counts, count))
    held, there = torch.zeros(len(targets), dtype=torch.bool), torch.zeros_like(counts)
    for members, own in _groups(targets, groups, num_classes, derive_seed(seed, split, "groups")):
        leaves_some = ((counts - there - own > 0) | (own == 0)).all()
        if leaves_some and ((there + own - wanted) ** 2).sum() < ((there - wanted) ** 2).sum():
            held[members] = True
            there += own
    if not held.any():
        raise ValueError(
            f"{split}: no group of images can be held out near to {count} of {len(targets)} "
            "images; hold out more, or leave out the groups"
        )
    return _positions(held)


def stratified_fold(
    targets: Tensor, *, number: int, of: int, num_classes: int, seed: int
) -> Positions:
    """The images outside of and in one of several folds.

    The images, sorted by class and within a class at random, are dealt to the folds in turn: so
    each image is in one fold, the folds' sizes differ by one image at the most, and so do any
    class's shares of them.

    Args:
        targets: `(N,)` int64 classes.
        number: of the fold, from 1.
        of: folds, 2 or more.
        num_classes: classes, of which some may have no image.
        seed: decides which images of a class come into which fold.

    Raises:
        ValueError: there are more folds than images, or one would take a class's only image.
    """
    _check_fold(number, of, len(targets), "training images")
    counts = torch.bincount(targets, minlength=num_classes)
    if (counts == 1).any():
        raise ValueError(
            f"class {int((counts == 1).nonzero()[0])} has only one training image, so the fold "
            "that holds it would be learnt without it; add images, or leave the class out"
        )
    generator = torch.Generator().manual_seed(derive_seed(seed, "folds"))
    shuffled = torch.randperm(len(targets), generator=generator)
    by_class = shuffled[targets[shuffled].argsort(stable=True)]
    held = torch.zeros(len(targets), dtype=torch.bool)
    held[by_class[number - 1 :: of]] = True
    return _positions(held)


def grouped_fold(
    targets: Tensor, groups: Tensor, *, number: int, of: int, num_classes: int, seed: int
) -> Positions:
    """As `stratified_fold`, for whole groups, the largest first.

    Each goes to the fold in which its classes are rarest: the one that adds least to the sum, over
    folds and classes, of the squared counts divided by the class's size.

    Raises:
        ValueError: there are more folds than groups, or a fold would take all images of a class.
    """
    _check_fold(number, of, int((torch.bincount(groups) > 0).sum()), "groups of training images")
    counts = torch.bincount(targets, minlength=num_classes)
    there = torch.zeros(of, num_classes, dtype=torch.int64)
    held = torch.zeros(len(targets), dtype=torch.bool)
    for members, own in _groups(targets, groups, num_classes, derive_seed(seed, "folds")):
        more = ((2 * there * own + own**2) / counts.clamp(min=1)).sum(1)
        chosen = int(more.argmin())
        there[chosen] += own
        held[members] = chosen == number - 1
    lost = (there == counts) & (counts > 0)
    if lost.any():
        raise ValueError(
            f"class {int(lost.any(0).nonzero()[0])} has only one group of training images, so the "
            "fold that holds it would be learnt without it; add groups, or leave the class out"
        )
    return _positions(held)


def _positions(held: Tensor) -> Positions:
    return (~held).nonzero().flatten(), held.nonzero().flatten()


def _check_fold(number: int, of: int, most: int, what: str) -> None:
    assert 1 <= number <= of >= 2
    if of > most:
        raise ValueError(f"{of} folds cannot be made of {most} {what}")


def _counts_with_room(targets: Tensor, wanted: int, num_classes: int, split: str) -> Tensor:
    """The images of each class; ValueError if so many cannot be held out of them."""
    counts = torch.bincount(targets, minlength=num_classes)
    room = int((counts - 1).clamp(min=0).sum())
    if wanted > room:
        raise ValueError(
            f"{split}: {wanted} images cannot be held out of {len(targets)}; "
            f"{room} is the most that leaves one image of each class for training"
        )
    return counts


def _groups(
    targets: Tensor, groups: Tensor, num_classes: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Positions of each group's images, and their number of each class; the largest group first."""
    sizes = torch.bincount(groups)
    members = torch.tensor_split(groups.argsort(stable=True), sizes.cumsum(0)[:-1])
    order = torch.randperm(len(sizes), generator=torch.Generator().manual_seed(seed))
    for number in order[sizes[order].argsort(stable=True, descending=True)].tolist():
        if sizes[number] > 0:
            yield members[number], torch.bincount(targets[members[number]], minlength=num_classes)


def _allocate(counts: Tensor, wanted: int) -> list[int]:
    """Images to hold out of each class: proportional, in whole images, summing to `wanted`."""
    sizes = counts.tolist()
    total = sum(sizes)
    shares = [min(size * wanted // total, max(size - 1, 0)) for size in sizes]
    remainders = [size * wanted % total for size in sizes]
    order = sorted(range(len(sizes)), key=lambda number: (-remainders[number], number))
    while sum(shares) < wanted:
        for number in order:
            if sum(shares) < wanted and shares[number] < sizes[number] - 1:
                shares[number] += 1
    return shares
