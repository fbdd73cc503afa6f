"""What a loader gives, and what a loader is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from cnntrain.data.order import balanced_order, epoch_order


class Batch(NamedTuple):
    """Images and their classes, on the device.

    Args:
        images: `(N, C, H, W)` float32, transformed.
        targets: `(N,)` int64, positions in the class list; of mixed images (mixup, cutmix)
            `(N, classes)` float32, the classes' shares.
    """

    images: Tensor
    targets: Tensor


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
        """`(N,)` int64: which image comes when; None for the stored order.

        Args:
            targets: `(N,)` int64 classes of the split, on the CPU.
            epoch: whose order.
        """
        if not self.shuffle:
            return None
        if self.balanced:
            return balanced_order(targets, seed=self.seed, epoch=epoch)
        return epoch_order(len(targets), seed=self.seed, epoch=epoch)

    def count(self, images: int) -> int:
        """Batches in an epoch of so many images."""
        return images // self.batch_size if self.drop_last else -(-images // self.batch_size)

    def positions(self, number: int) -> slice:
        """The places in the epoch's order of one batch's images."""
        return slice(number * self.batch_size, (number + 1) * self.batch_size)

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
