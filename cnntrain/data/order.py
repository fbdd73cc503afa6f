"""Which images come when: functions of the seed and the epoch alone."""

from __future__ import annotations

import torch
from torch import Tensor

from cnntrain.core.seeding import derive_seed


def epoch_order(count: int, *, seed: int, epoch: int) -> Tensor:
    """`(count,)` int64: a permutation of the images, the same on every device."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
    return torch.randperm(count, generator=generator)


def balanced_order(targets: Tensor, *, seed: int, epoch: int) -> Tensor:
    """`(N,)` int64: as many draws as there are images, in which all classes are equally frequent.

    To one image: classes that get one more than others are drawn, too. A class with fewer images
    than its share is gone through several times, each time in a new order; of one with more, every
    epoch shows other images.

    Args:
        targets: `(N,)` int64 classes; one without images gets no share.
        seed: the run's.
        epoch: decides, with the seed.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "balanced", epoch))
    counts = torch.bincount(targets)
    by_class, ends = targets.argsort(stable=True), counts.cumsum(0)
    classes = counts.nonzero().flatten()
    each, left = divmod(len(targets), len(classes))
    shares = torch.full((len(classes),), each)
    shares[torch.randperm(len(classes), generator=generator)[:left]] += 1
    drawn = []
    for number, share in zip(classes.tolist(), shares.tolist(), strict=True):
        members = by_class[ends[number] - counts[number] : ends[number]]
        rounds = -(-share // len(members))
        order = torch.rand(rounds, len(members), generator=generator).argsort(dim=1)
        drawn.append(members[order.flatten()[:share]])
    return torch.cat(drawn)[torch.randperm(len(targets), generator=generator)]


def batch_seed(seed: int, epoch: int, batch: int) -> int:
    """The seed of what is drawn for a whole batch."""
    return derive_seed(seed, "batch", epoch, batch)


def mixing_seed(seed: int, epoch: int, batch: int) -> int:
    """The seed of how a batch is mixed."""
    return derive_seed(seed, "mixing", epoch, batch)


def image_seed(seed: int, epoch: int, place: int) -> int:
    """The seed of what is drawn for the image at one place of the order, whoever reads it.

    Not of the image's own number: one that comes twice in an epoch is not to come twice the same.
    """
    return derive_seed(seed, "image", epoch, place)
