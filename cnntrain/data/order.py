"""Which images come when: functions of the seed and the epoch alone."""

from __future__ import annotations

import torch
from torch import Tensor

from cnntrain.core.seeding import derive_seed


def epoch_order(count: int, *, seed: int, epoch: int) -> Tensor:
    """`(count,)` int64: a permutation of the images, the same on every device."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
    return torch.randperm(count, generator=generator)


def batch_seed(seed: int, epoch: int, batch: int) -> int:
    """The seed of what is drawn for a whole batch."""
    return derive_seed(seed, "batch", epoch, batch)


def image_seed(seed: int, epoch: int, index: int) -> int:
    """The seed of what is drawn for one image, whichever worker reads it."""
    return derive_seed(seed, "image", epoch, index)
