"""Features in memory: what the layers of a network make of each image, computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from cnntrain.data.batch import Batch, Batching, Loader, gathered
from cnntrain.data.stream import StreamLoader


class FeatureLoader:
    """Batches of features, in the order in which those of the images would come.

    The features are computed at the first call of `fill` or `batches`, from epoch 0 of the images,
    and stay on the device, `4 N F` bytes; the images are given up then.

    Args:
        images: each image of the split once, in stored order.
        compute: from images `(N, C, H, W)` to features `(N, F)`.
        batching: size and order of the batches.
    """

    def __init__(
        self, images: Loader, *, compute: Callable[[Tensor], Tensor], batching: Batching
    ) -> None:
        self.size = images.size
        self.batches_per_epoch = batching.count(self.size)
        self._images: Loader | None = images
        self._compute = compute
        self._batching = batching
        self._kept = Batch(torch.empty(0), torch.empty(0, dtype=torch.int64))

    def fill(self, progress: Callable[[int], object] = lambda images: None) -> None:
        """Compute the features, unless that is done.

        Args:
            progress: called with the number of images of each batch that is done.

        Raises:
            DataError: images are unreadable.
        """
        if self._images is None:
            return
        parts: list[Batch] = []
        try:
            for images, targets in self._images.batches(0):
                parts.append(Batch(self._compute(images), targets))
                progress(len(targets))
        finally:
            if isinstance(self._images, StreamLoader):
                self._images.close()
        features, targets = (torch.cat(each) for each in zip(*parts, strict=True))
        self._kept = Batch(features, targets)
        self._images = None

    @property
    def width(self) -> int:
        """Numbers in the features of an image, once they are computed."""
        return self._kept.images.shape[1]

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch; see `Loader`."""
        self.fill()
        return gathered(self._kept, self._batching, epoch=epoch, start=start)

    def images_in(self, batch: int) -> int:
        """Images in a batch; see `Loader`."""
        return self._batching.images_in(batch, self.size)
