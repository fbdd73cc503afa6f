"""Mixing the images of a batch with each other: targets become shares of classes, or are blended.

A mixing stands at the end of the list of training transforms. It gets a whole batch, on the device,
with its classes one-hot. Partners are neighbours in the batch: its images come in random order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Protocol, runtime_checkable

import torch.nn.functional as F
from torch import Tensor

from cnntrain.core.seeding import derive_seed
from cnntrain.data.batch import Batch, Loader
from cnntrain.data.share import WHOLE, ShareOfBatch


@runtime_checkable
class Mixing(Protocol):
    """What a transform of whole batches does."""

    probability: float
    """Of a batch to be mixed so."""

    def mix(self, images: Tensor, shares: Tensor, random: Random) -> tuple[Tensor, Tensor]:
        """`(N, C, H, W)` images and `(N, classes)` float shares that sum to 1, to the same.

        What is drawn (on the host, so that no device is waited for) comes from `random` alone.
        """
        ...


class MixedLoader:
    """The batches of another loader, mixed.

    Each batch is mixed in one way at the most, drawn by the mixings' probabilities; what is drawn
    depends on nothing but the seed, the epoch and the batch's number.

    Args:
        loader: of shuffled batches.
        mixings: whose probabilities add up to 1 or less.
        num_classes: of the targets.
        seed: the run's.
        share: what of each batch the loader reads; see `reach`.
    """

    def __init__(
        self,
        loader: Loader,
        *,
        mixings: Sequence[Mixing],
        num_classes: int,
        seed: int,
        share: ShareOfBatch = WHOLE,
    ) -> None:
        self.loader = loader
        self.size = loader.size
        self.batches_per_epoch = loader.batches_per_epoch
        self._mixings = mixings
        self._num_classes = num_classes
        self._seed = seed
        self._share = share

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch; see `Loader`."""
        for number, batch in enumerate(self.loader.batches(epoch, start=start), start=start):
            random = Random(derive_seed(self._seed, "mixing", epoch, number))
            mixing = self._drawn(random)
            if mixing is not None:
                shares = batch.targets
                if shares.ndim == 1:
                    shares = F.one_hot(shares, self._num_classes).float()
                batch = Batch(*mixing.mix(batch.images, shares, random))
            alone = self._share.count == 1
            yield batch if alone else batch.at(self._share.own(self.images_in(number)))

    def images_in(self, batch: int) -> int:
        """Images in a batch; see `Loader`."""
        return self.loader.images_in(batch)

    def _drawn(self, random: Random) -> Mixing | None:
        left = random.random()
        for mixing in self._mixings:
            left -= mixing.probability
            if left < 0:
                return mixing
        return None


def reach(mixings: Sequence[Mixing]) -> int | None:
    """How many images before it an image may be mixed with; None: any of its batch.

    A mixing states it as `reach`, so that several processes need not read all images of a batch.
    """
    known = [mixing.reach for mixing in mixings if hasattr(mixing, "reach")]
    return max(known, default=0) if len(known) == len(mixings) else None


def blend(values: Tensor, share: float) -> Tensor:
    """`share` of each of a batch and the rest of its neighbour; the last one is the first one's."""
    mixed = values * share
    mixed[1:].add_(values[:-1], alpha=1 - share)  # torch.roll would lose the memory format
    mixed[:1].add_(values[-1:], alpha=1 - share)
    return mixed
