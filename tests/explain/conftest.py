"""Loaders and networks made by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from cnntrain.data.batch import Batch, Loader


class Batches:
    """Images in stored order, `batch_size` at a time."""

    def __init__(self, images: Tensor, targets: Tensor, batch_size: int) -> None:
        self.size = len(images)
        self._parts = list(zip(images.split(batch_size), targets.split(batch_size), strict=True))
        self.batches_per_epoch = len(self._parts)

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        for images, targets in self._parts[start:]:
            yield Batch(images, targets)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def batches() -> Callable[..., Loader]:
    """`batches(images, targets=None, size=3)`."""

    def make(images: Tensor, targets: Tensor | None = None, size: int = 3) -> Loader:
        given = torch.zeros(len(images), dtype=torch.int64) if targets is None else targets
        return Batches(images, given, size)

    return make
