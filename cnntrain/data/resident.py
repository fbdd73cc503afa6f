"""Loading from memory: the whole split stays on the device as uint8, batches are made there.

Reading one image at a time costs more than training a small network on it; here a batch is one
gather of rows, and each transform one batched operation.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from cnntrain.core.seeding import derive_seed
from cnntrain.data.batch import Batch, Batching, gathered
from cnntrain.data.decode import in_threads
from cnntrain.data.pipeline import Pipeline
from cnntrain.data.share import Rows
from cnntrain.data.splits import Files, Part, Pixels, different_sizes, from_picture, to_picture
from cnntrain.data.transform_errors import TransformError
from cnntrain.data.transform_parts import Showing
from cnntrain.data.windows import cut_picture, whole

PREPARED_BYTES = 512 * 1024**2
"""Images that no randomness changes are kept ready, as float32, up to this many bytes a split."""

_CHUNK = 1024


class ResidentLoader:
    """Batches from images in memory.

    All transforms are batched on the device. Where nothing is random the whole split is transformed
    once, if the result is not too large; a batch is then a gather and nothing else.
    """

    def __init__(self, pixels: Pixels, *, pipeline: Pipeline, batching: Batching) -> None:
        self.size = len(pixels)
        self.batches_per_epoch = batching.count(self.size)
        self._pipeline = pipeline
        self._batching = batching
        self._targets = pixels.targets
        images = self._stored(pixels.images)
        self._shape = images.shape[1:]
        # one row an image: a gather then copies rows, whatever the memory format
        rows = images.reshape(self.size, -1).to(batching.device)
        self._kept = Batch(rows, pixels.targets.to(batching.device))
        with pipeline.drawing(derive_seed(batching.seed, "once")):
            self._is_ready = self._prepare()

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch; see `Loader`."""
        how, generator = self._batching, torch.Generator(self._batching.device)
        drawn = gathered(self._kept, how, epoch=epoch, start=start, as_images=self._as_images,
                         at_once=8 if self._is_ready else 1)  # fmt: skip
        if self._is_ready:
            yield from drawn
            return
        numbers = how.numbers(self.size, start=start)
        shown = how.shown(self._targets, epoch=epoch) if self._pipeline.reads_shown else None
        for number, (images, targets) in zip(numbers, drawn, strict=True):
            seed = derive_seed(how.seed, "batch", epoch, number)
            if self._pipeline.is_random:
                generator.manual_seed(seed)
            with self._pipeline.drawing(seed):
                rows = how.share.some_rows(self.images_in(number), how.device)
                which = None if shown is None else shown(number)
                images = self._transform(images, generator, rows, which)
            yield Batch(images, targets)

    def images_in(self, batch: int) -> int:
        """Images in a batch; see `Loader`."""
        return self._batching.images_in(batch, self.size)

    def _prepare(self) -> bool:
        """Keep all images transformed, where nothing is random and the result not too large."""
        if self._pipeline.is_random or self.size == 0:
            return False
        rows, generator = self._kept.images, torch.Generator(self._batching.device)
        first = self._stored(self._transform(self._as_images(rows[:1]), generator))
        if self.size * first.numel() * first.element_size() > PREPARED_BYTES:
            return False
        ready = torch.empty(self.size, first.numel(), device=first.device)
        for start in range(0, self.size, _CHUNK):
            images = self._as_images(rows[start : start + _CHUNK])
            images = self._stored(self._transform(images, generator, None, self._at(start)))
            ready[start : start + _CHUNK] = images.flatten(1)
        self._kept, self._shape = self._kept._replace(images=ready), first.shape[1:]
        return True

    def _at(self, start: int) -> Showing:
        places = torch.arange(start, min(start + _CHUNK, self.size))
        return Showing(places, epoch=0, seed=self._batching.seed)

    def _stored(self, images: Tensor) -> Tensor:
        """In the order of the memory: (N, H, W, C) for channels last."""
        return images.permute(0, 2, 3, 1) if self._batching.channels_last else images

    def _as_images(self, rows: Tensor) -> Tensor:
        images = rows.view(-1, *self._shape)
        return images.permute(0, 3, 1, 2) if self._batching.channels_last else images

    def _transform(
        self,
        images: Tensor,
        generator: torch.Generator,
        rows: Rows = None,
        shown: Showing | None = None,
    ) -> Tensor:
        result = self._pipeline(images, generator, rows, shown)
        return result.contiguous(memory_format=self._batching.memory_format)


def read_pixels(part: Part, head: Pipeline, *, name: str) -> Pixels:
    """The images of a split, decoded and brought to one size by Pillow, without randomness.

    Raises:
        UnreadableImageError: a file cannot be decoded.
        TransformError: a transform is impossible on an image.
        DataError: the images come out in different sizes.
    """
    if isinstance(part, Pixels):
        return _size_pixels(part, head) if head.steps else part
    first = _read(part, 0, head)
    images = torch.empty(len(part), *first.shape, dtype=torch.uint8)

    def fill(index: int) -> None:
        pixels = _read(part, index, head)
        if pixels.shape != first.shape:
            raise different_sizes(part, name, [(0, first), (index, pixels)])
        images[index] = pixels

    for _ in in_threads(fill, range(len(part)), what=f"reading {name}"):
        pass
    return Pixels(images, part.targets)


def _read(part: Files, index: int, head: Pipeline) -> Tensor:
    try:
        return from_picture(head.picture(part.open(index), None))
    except TransformError as error:
        reason = f"{part.label(index)}: {error.reason}"
        raise TransformError(error.position, error.name, reason) from error


def _size_pixels(part: Pixels, head: Pipeline) -> Pixels:
    """Size images that are in memory, each by Pillow as an image file would be."""
    windows, box = head.fixed_windows(part.size), whole(part.size)
    if all(each.size == part.size and torch.equal(each.boxes, box) for each in windows):
        return part
    images = torch.empty(len(part), part.channels, *windows[-1].size, dtype=torch.uint8)
    # Pillow takes 1 or 3 channels; other numbers are sized channel by channel
    step = part.channels if part.channels in (1, 3) else 1
    for source, target in zip(part.images, images, strict=True):
        for start in range(0, part.channels, step):
            picture = to_picture(source[start : start + step])
            for window in windows:
                picture = cut_picture(picture, window)
            target[start : start + step] = from_picture(picture)
    return Pixels(images, part.targets)
