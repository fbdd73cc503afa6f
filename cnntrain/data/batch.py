"""What a loader gives, and which images come when: functions of the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from cnntrain.core.seeding import derive_seed
from cnntrain.data.on_device import sent


class Batch(NamedTuple):
    """Images and their classes, on the device.

    Args:
        images: `(N, C, H, W)` float32, transformed.
        targets: `(N,)` int64, positions in the class list; of mixed images (mixup, cutmix)
            `(N, classes)` float32, the classes' shares.
    """

    images: Tensor
    targets: Tensor

    def at(self, places: slice | Tensor) -> Batch:
        """Some of them."""
        if isinstance(places, slice):
            return Batch(self.images[places], self.targets[places])
        return Batch(self.images.index_select(0, places), self.targets.index_select(0, places))


@dataclass(frozen=True)
class Batching:
    """How a loader makes batches.

    Args:
        batch_size: images in a batch; the last one may be smaller.
        shuffle: a new order in every epoch; if not, the stored order.
        drop_last: leave out a last batch that is smaller.
        seed: of order and augmentation.
        device: where the batches are.
        channels_last: their memory format.
        balanced: shuffled images are drawn so that all classes are equally frequent.
    """

    batch_size: int
    shuffle: bool = False
    drop_last: bool = False
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    channels_last: bool = False
    balanced: bool = False

    def order(self, targets: Tensor, *, epoch: int) -> Tensor | None:
        """`(N,)` int64 on the CPU: which image comes when; None for the stored order.

        Args:
            targets: `(N,)` int64 classes of the split, on the CPU.
            epoch: whose order.
        """
        if not self.shuffle:
            return None
        if self.balanced:
            return balanced_order(targets, seed=self.seed, epoch=epoch)
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", epoch))
        return torch.randperm(len(targets), generator=generator)

    def count(self, images: int) -> int:
        """Batches in an epoch of so many images."""
        return images // self.batch_size if self.drop_last else -(-images // self.batch_size)

    @property
    def memory_format(self) -> torch.memory_format:
        """torch's name for the format."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


class Loader(Protocol):
    """Batches of one split, in an order that depends on nothing but the seed and the epoch."""

    size: int
    """Images in the split."""
    batches_per_epoch: int

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch.

        Args:
            epoch: decides, with the seed, the order and the augmentation.
            start: batches to leave out at the beginning; no image of theirs is read.
        """
        ...


def gathered(
    kept: Batch,
    how: Batching,
    *,
    epoch: int,
    start: int,
    at_once: int = 8,
    as_images: Callable[[Tensor], Tensor] = lambda rows: rows,
) -> Iterator[Batch]:
    """The batches of one epoch (see `Loader`) out of a split that is in memory, one row an image.

    `at_once` of them are gathered together, which costs less than one by one.
    """
    size, count = how.batch_size, how.count(len(kept.targets))
    drawn = how.order(kept.targets.cpu() if how.balanced else kept.targets, epoch=epoch)
    order = None if drawn is None else sent(drawn, kept.targets.device)
    targets = kept.targets if order is None else kept.targets.index_select(0, order)
    for first in range(start, count, at_once):
        places = slice(first * size, min(first + at_once, count) * size)
        some = kept.images
        rows = some[places] if order is None else some.index_select(0, order[places])
        images, of_them = as_images(rows), targets[places]
        for at in range(0, len(of_them), size):
            yield Batch(images[at : at + size], of_them[at : at + size])


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
