"""What of each batch a process reads, where several processes train together.

The batches are the same whatever the number of processes: a process takes its part of the order,
and what is drawn at random for a batch is drawn for all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ShareOfBatch:
    """The part that one of several processes takes; by default all of it.

    In training each batch is cut as torch's `chunk` cuts: so the processes compute what one process
    computes that works through its batches in as many parts (`train.accumulate`). In evaluation,
    where an image does not depend on the others of its batch, whole batches are taken in turns.

    A process for which there is nothing reads a stand-in, which does not count: all images of a
    batch that is too small for a slice, or the first batch of all. So every process has images of
    the right form.

    Args:
        index: of the process, from 0.
        count: of the processes.
        on_machine: of them, those on the same machine, which share its cores.
        in_turns: whether whole batches are taken in turns.
        before: images of the batch before its own that a process reads too, because its own are
            mixed with them; the one before the first is the last. None: the whole batch.
    """

    index: int = 0
    count: int = 1
    on_machine: int = 1
    in_turns: bool = False
    before: int | None = 0

    def bounds(self, images: int) -> tuple[int, int]:
        """The first of its images in a batch of so many, and the one after its last."""
        size = -(-images // self.count)
        start = min(self.index * size, images)
        return start, min(start + size, images)

    def counted(self, images: int) -> int:
        """How many of a batch of so many images are its own; 0: what it reads is a stand-in."""
        start, end = self.bounds(images)
        return end - start

    def first(self, images: int) -> int:
        """Position, in a batch of so many images, of the first that it reads for itself."""
        start, end = self.bounds(images)
        return start if end > start else 0

    def numbers(self, batches: int, *, start: int = 0) -> range:
        """Which batches it reads, of so many in an epoch, from `start` on."""
        if not self.in_turns:
            return range(start, batches)
        first = start + (self.index - start) % self.count
        taken = range(first, batches, self.count)
        return taken or range(start, min(start + 1, batches))

    def has_turn(self, batches: int) -> bool:
        """Whether one of so many batches is its own, where they are taken in turns."""
        return self.index < batches

    def rows(self, images: int) -> list[int]:
        """Positions in a batch of so many images of those that it reads."""
        start, end = self.bounds(images)
        if self.count == 1 or self.in_turns or self.before is None or start == end:
            return list(range(images))
        earlier = [(start - back) % images for back in range(self.before, 0, -1)]
        return earlier + list(range(start, end))

    def own(self, images: int) -> slice:
        """Which of `rows` are its own, or its stand-in."""
        start, end = self.bounds(images)
        if self.count == 1 or self.in_turns or start == end:
            return slice(None)
        return slice(start, end) if self.before is None else slice(self.before, None)

    def some_rows(self, images: int, device: torch.device) -> Rows:
        """What draws for a whole batch of so many images; None where all of it is read."""
        if self.count == 1:
            return None
        rows = self.rows(images)
        whole = rows == list(range(images))
        return None if whole else SomeRows(rows, images=images, device=device)


WHOLE = ShareOfBatch()


class SomeRows:
    """Applies what draws at random for a batch to some rows of it, as to the whole one.

    The rows that are not there are copies of one that is: what is drawn for them is drawn, and what
    becomes of them is given up. That costs the step's time for the whole batch, and no reading.

    Args:
        rows: positions in the batch of the images that are there.
        images: of the whole batch.
        device: where they are.
    """

    def __init__(self, rows: list[int], *, images: int, device: torch.device) -> None:
        self._rows = torch.tensor(rows)
        where = torch.zeros(images, dtype=torch.int64)
        where[self._rows] = torch.arange(len(rows))
        self._rows, self._where = self._rows.to(device), where.to(device)

    def apply(
        self,
        transform: Callable[[Tensor, torch.Generator], Tensor],
        images: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        """What becomes of `(rows, C, H, W)`."""
        whole = transform(images.index_select(0, self._where), generator)
        return whole.index_select(0, self._rows)


Rows = SomeRows | None
"""Those of a batch that are there; None: all of them."""
