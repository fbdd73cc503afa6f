"""A bar on the error stream while the images of a whole split are read, outside of training."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Never

from tqdm import tqdm

from cnntrain.data.batch import Batch, Loader
from cnntrain.data.stream import StreamLoader
from cnntrain.record.console import is_terminal

PATIENCE = 1.0
"""Seconds without a bar; what is done by then needs none."""


def bar(what: str, *, total: int | None = None, quiet: bool = False) -> tqdm[Never]:
    """A bar that counts `total` images, to be used in a `with` block; shown only on a terminal."""
    return tqdm(
        total=total,
        desc=what,
        unit="image",
        leave=False,
        dynamic_ncols=True,
        delay=PATIENCE,
        disable=quiet or not is_terminal(sys.stderr),
    )


class WatchedLoader:
    """The batches of another loader, with a bar for each pass that says `what` they are."""

    def __init__(self, loader: Loader, *, what: str) -> None:
        self.loader = loader
        self.size = loader.size
        self.batches_per_epoch = loader.batches_per_epoch
        self._what = what

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch; see `Loader`."""
        with bar(self._what, total=self.size) as shown:
            for batch in self.loader.batches(epoch, start=start):
                yield batch
                shown.update(len(batch.targets))

    def close(self) -> None:
        """End the worker processes, if there are any."""
        if isinstance(self.loader, StreamLoader):
            self.loader.close()
