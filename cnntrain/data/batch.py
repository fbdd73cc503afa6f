"""What a loader gives, and which images come when: functions of the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from cnntrain.core.seeding import derive_seed
from cnntrain.data.on_device import sent
from cnntrain.data.share import WHOLE, ShareOfBatch
from cnntrain.data.transform_parts import Showing
from cnntrain.tasks.class_runs import in_runs


class Batch(NamedTuple):
    """Images and their targets, on the device.

    Args:
        images: `(N, C, H, W)` float32, transformed.
        targets: `(N,)` int64, positions in the class list; of mixed images (mixup, cutmix)
            `(N, classes)` float32, the classes' shares. Of numbers and labels `(N, K)` float32; see
            `cnntrain.tasks.targets`.
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
        together: shuffled images come in runs of so many of a class, see `in_runs`; 0: one by one.
        share: what of each batch is read here, where several processes train together.
        copies_ahead: those that are read are copied to a GPU while the one before is worked on.
    """

    batch_size: int
    shuffle: bool = False
    drop_last: bool = False
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    channels_last: bool = False
    balanced: bool = False
    together: int = 0
    share: ShareOfBatch = WHOLE
    copies_ahead: bool = False

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
        if self.together:
            return in_runs(targets, together=self.together, generator=generator)
        return torch.randperm(len(targets), generator=generator)

    def count(self, images: int) -> int:
        """Batches in an epoch of so many images."""
        return images // self.batch_size if self.drop_last else -(-images // self.batch_size)

    def numbers(self, images: int, *, start: int = 0) -> range:
        """Of the batches that are read here, from `start` on, in an epoch of so many images."""
        return self.share.numbers(self.count(images), start=start)

    def images_in(self, number: int, images: int) -> int:
        """Images in a batch, all processes together, in an epoch of so many."""
        return min(self.batch_size, images - number * self.batch_size)

    def places(self, number: int, images: int) -> Tensor:
        """Places in the order of those of a batch that are read here, `(n,)` int64 on the CPU."""
        rows = self.share.rows(self.images_in(number, images))
        return torch.tensor(rows) + number * self.batch_size

    def shown(self, targets: Tensor, *, epoch: int) -> Callable[[int], Showing]:
        """Which images each batch shows of those that are read here, by its number; see `order`."""
        order = self.order(targets, epoch=epoch)

        def of(number: int) -> Showing:
            places = self.places(number, len(targets))
            positions = places if order is None else order[places]
            return Showing(positions, epoch=epoch, seed=self.seed)

        return of

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

    def images_in(self, batch: int) -> int:
        """Images in a batch, by its number, those that other processes read included."""
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
    by_class = how.balanced or how.together > 0
    drawn = how.order(kept.targets.cpu() if by_class else kept.targets, epoch=epoch)
    if how.share.count > 1:
        yield from _shared(kept, how, drawn, start=start, as_images=as_images)
        return
    order = None if drawn is None else sent(drawn, kept.targets.device)
    targets = kept.targets if order is None else kept.targets.index_select(0, order)
    for first in range(start, count, at_once):
        places = slice(first * size, min(first + at_once, count) * size)
        some = kept.images
        rows = some[places] if order is None else some.index_select(0, order[places])
        parts = torch.split(as_images(rows), size), torch.split(targets[places], size)
        for each in zip(*parts, strict=True):
            yield Batch(*each)


def _shared(
    kept: Batch,
    how: Batching,
    order: Tensor | None,
    *,
    start: int,
    as_images: Callable[[Tensor], Tensor],
) -> Iterator[Batch]:
    """The same, of several processes: what each batch has for this one."""
    for number in how.numbers(len(kept.targets), start=start):
        places = how.places(number, len(kept.targets))
        places = sent(places if order is None else order[places], kept.targets.device)
        rows, targets = kept.at(places)
        yield Batch(as_images(rows), targets)


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
