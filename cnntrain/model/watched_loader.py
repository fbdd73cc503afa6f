"""A loader whose passes over a split are seen: with a bar, or lines of text off a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from cnntrain.data.batch import Batch, Loader
from cnntrain.data.loaders import unmixed
from cnntrain.data.stream import StreamLoader
from cnntrain.show.progress import bar


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

    def images_in(self, batch: int) -> int:
        """Images in a batch; see `Loader`."""
        return self.loader.images_in(batch)

    def close(self) -> None:
        """End the worker processes, if there are any."""
        loader = unmixed(self.loader)
        if isinstance(loader, StreamLoader):
            loader.close()
