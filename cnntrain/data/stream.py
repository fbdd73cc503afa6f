"""Loading from files: workers read and size the images, the device does the rest."""

from __future__ import annotations

import errno
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from cnntrain.core.cores import core_count
from cnntrain.core.errors import DataError
from cnntrain.core.seeding import derive_seed
from cnntrain.data.batch import Batch, Batching
from cnntrain.data.copying import copied
from cnntrain.data.pipeline import Pipeline
from cnntrain.data.processes import end_workers, start_workers
from cnntrain.data.read_ahead import read_ahead
from cnntrain.data.shared_memory import PREFETCHED, check_shared_memory
from cnntrain.data.splits import Files, Part, Pixels, different_sizes
from cnntrain.data.transform_errors import TransformError
from cnntrain.data.watch import Verdict, Watch
from cnntrain.data.worker import Failure, ImageReader, Key, collate

_READERS = 4
"""Threads at most that read images; more wait for each other's Python."""


class StreamLoader:
    """Batches from images that are read when they are needed.

    Args:
        part: the split.
        name: of the split, for messages.
        pipeline: transforms; the leading sizing ones are applied by Pillow in the workers, where
            those up to the last that works image by image follow; the others batched on the device.
        batching: size, order and place of the batches. Shuffled (training) JPEGs are decoded at a
            reduced size where their first window allows; in stored order decoding is exact.
        workers: processes; 0 reads in this one, the next batch in threads where cores are free.
            Batches do not depend on it.
    """

    def __init__(
        self,
        part: Part,
        *,
        name: str,
        pipeline: Pipeline,
        batching: Batching,
        workers: int = 0,
    ) -> None:
        self.size = len(part)
        self.batches_per_epoch = batching.count(self.size)
        self._part = part
        self._name = name
        head, tail = pipeline.divide(random_in_worker=True)
        count = max((i for i, step in enumerate(tail.steps, 1) if step.is_by_image), default=0)
        single, self._tail = Pipeline(tail.steps[:count]), Pipeline(tail.steps[count:])
        self._batching = batching
        self._workers = workers
        self._order = _Order(part.targets, batching)
        self._head = head
        idle = 0 if workers or _is_global(head, single) else _idle_cores(batching)
        self._is_ahead = idle > 0
        # torch's advice about workers and cores is a page, said twice; the card has our line
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        self._loader = DataLoader(
            ImageReader(
                part,
                head,
                single,
                seed=batching.seed,
                draft=batching.shuffle,
                channels_last=batching.channels_last,
                threads=max(1, idle),
            ),
            batch_sampler=self._order,
            num_workers=workers,
            collate_fn=collate,
            persistent_workers=workers > 0,
            prefetch_factor=PREFETCHED if workers else None,
            timeout=0,  # `Watch` has the limits; torch looks every 5 s whether they are alive
            pin_memory=batching.device.type == "cuda",
            # its own, or every epoch would draw from torch's global numbers
            generator=torch.Generator(),
        )

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch; see `Loader`.

        Raises:
            UnreadableImageError: a file cannot be decoded.
            TransformError: a transform is impossible on an image.
            DataError: images of different sizes, or the workers died or hang.
        """
        self._order.epoch, self._order.start = epoch, start
        how = self._batching
        generator = torch.Generator(how.device)
        numbers = how.numbers(self.size, start=start)
        shown = how.shown(self._part.targets, epoch=epoch) if self._tail.reads_shown else None
        on_device = copied(self._collated(), how.device, ahead=how.copies_ahead)
        for number, (images, targets) in zip(numbers, on_device, strict=True):
            seed = derive_seed(how.seed, "batch", epoch, number)
            if self._tail.is_random:
                generator.manual_seed(seed)
            with self._tail.drawing(seed):
                rows = how.share.some_rows(self.images_in(number), how.device)
                which = None if shown is None else shown(number)
                result = self._tail(images, generator, rows, which)
            yield Batch(result.contiguous(memory_format=how.memory_format), targets)

    def images_in(self, batch: int) -> int:
        """Images in a batch; see `Loader`."""
        return self._batching.images_in(batch, self.size)

    def _collated(self) -> Iterator[tuple[Tensor, Tensor]]:
        watch = Watch(self._pids)
        try:
            for item in self._watched(watch):
                if isinstance(item, Failure):
                    raise item.to_raise()
                images, targets, indices = item
                if isinstance(images, list):
                    raise different_sizes(
                        self._part, self._name, list(zip(indices, images, strict=True))
                    )
                yield images, targets
        except (RuntimeError, OSError, EOFError) as error:
            found = worker_failure(error, workers=self._workers, verdict=watch.verdict)
            if found is None or not self._workers:
                raise
            self.close()
            raise found from error

    def _watched(self, watch: Watch) -> Iterator[Any]:
        """What the workers give; see `Watch`."""
        items = None
        if self._workers and self._loader._iterator is None:
            check_shared_memory(self._batch_bytes(), workers=self._workers)
            items = start_workers(self._loader)  # before there is another thread
        with watch.watching():
            with watch.waiting():  # workers of an earlier epoch are asked whether they are there
                items = items or iter(self._loader)
            if self._is_ahead:
                items = read_ahead(items)
            while True:
                with watch.waiting():
                    item = next(items, None)
                if item is None:
                    return
                yield item

    def _pids(self) -> list[int]:
        return [worker.pid for worker in getattr(self._loader._iterator, "_workers", ())]

    def _batch_bytes(self) -> int:
        """Of a batch of 8-bit images as the workers hand it over; zero where that is unknown."""
        part = self._part
        if not isinstance(part, Files | Pixels):
            return 0
        try:
            if (size := self._head.fixed_size()) is None:
                size = self._head.output_size(part.size_of(0))
        except (TransformError, DataError):
            return 0  # the worker meets the same and reports it
        images = min(self._batching.batch_size, self.size)
        return images * part.channels * size[0] * size[1]

    def close(self) -> None:
        """End the workers; the next epoch starts new ones."""
        end_workers(self._loader)


def worker_failure(
    error: Exception, *, workers: int, verdict: Verdict | None = None
) -> DataError | None:
    """What errors about dead or hanging workers mean; None for other errors.

    Args:
        error: that came up while batches were made or waited for.
        workers: how many there are.
        verdict: why they were ended, if it was on purpose: then any error is about that.

    torch notices a dead worker by a signal, so its RuntimeError may also come up in the middle of
    a training step; a batch that the worker did not hand over ends in a connection's error.
    """
    if any(words in str(error) for words in _TOO_MANY):
        return DataError(
            f"too many files are open at once for {workers} worker processes",
            remedy="raise the limit (`ulimit -n 4096`), or lower `data.workers`",
        )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        verdict = Verdict("there is no shared memory for them")
    known = isinstance(error, ConnectionError | EOFError) or "DataLoader" in str(error)
    if not (verdict or known):
        return None
    end = error.__cause__ if "DataLoader" in str(error.__cause__) else error
    reason = str(end).partition("\n")[0].partition(". ")[0] or type(error).__name__
    if verdict is None and "exit code" in reason:  # and not by a signal: Python has printed why
        return DataError(
            f"a worker process that reads the images ended with an error of its own: {reason}",
            remedy="see its traceback above, or set `data.workers: 0` to meet the error here",
        )
    found = verdict or Verdict(reason)
    return DataError(
        f"the worker processes that read the images died or hang: {found.reason}",
        remedy=found.remedy.format(workers),
    )


def _idle_cores(batching: Batching) -> int:
    """The cores that are free while a batch is computed with, of those that this process has."""
    used = torch.get_num_threads() if batching.device.type == "cpu" else 1
    return min(_READERS, core_count() // batching.share.on_machine - used)


def _is_global(head: Pipeline, single: Pipeline) -> bool:
    """Whether a step draws from the numbers of the process, which training draws from, too."""
    return bool(single.steps) or any(step.is_foreign for step in head.steps)


_TOO_MANY = ("Too many open files", "received 0 items of ancdata")


class _Order(Sampler[list[Key]]):
    """Yields each batch's keys; the epoch travels in them, so workers need no state."""

    def __init__(self, targets: Tensor, batching: Batching) -> None:
        self._targets = targets
        self._batching = batching
        self.epoch = 0
        self.start = 0

    def __iter__(self) -> Iterator[list[Key]]:
        epoch, start, how = self.epoch, self.start, self._batching
        drawn = how.order(self._targets, epoch=epoch)
        order = torch.arange(len(self._targets)) if drawn is None else drawn
        for number in how.numbers(len(order), start=start):
            places = how.places(number, len(order))
            indices = order[places].tolist()
            yield [(epoch, *pair) for pair in zip(places.tolist(), indices, strict=True)]

    def __len__(self) -> int:
        return len(self._batching.numbers(len(self._targets), start=self.start))
