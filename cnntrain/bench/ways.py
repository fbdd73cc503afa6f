"""The run's loader, its network, and both together, as turns of `cnntrain.bench.turns`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter

from cnntrain.assemble.timed_steps import TimedSteps
from cnntrain.data.batch import Batch, Loader
from cnntrain.data.loaders import unmixed
from cnntrain.data.shared_memory import PREFETCHED
from cnntrain.data.stream import StreamLoader

Clock = Callable[[], float]

SHORTEST = 0.05
"""Seconds of a turn of the loader, which may have many batches ready at once."""


class Feed:
    """Batches of a loader, epoch after epoch.

    `ahead` are those that its workers, or a thread in place of them, may have ready: the first ones
    after a break cost nothing.
    """

    def __init__(self, loader: Loader, *, workers: int) -> None:
        is_read = isinstance(unmixed(loader), StreamLoader)
        self.ahead = max(1, workers * PREFETCHED) if is_read else 0
        self._batches = self._all(loader)

    @staticmethod
    def _all(loader: Loader) -> Iterator[Batch]:
        epoch = 0
        while True:
            epoch += 1
            yield from loader.batches(epoch)

    def next(self) -> Batch:
        """The next one."""
        return next(self._batches)


@dataclass
class Loading:
    """Nothing but batches.

    Args:
        feed: gives them.
        steps: knows when the device has ended.
        count: batches in a turn; more, until it has taken `SHORTEST` seconds.
        clock: seconds.
    """

    feed: Feed
    steps: TimedSteps
    count: int
    clock: Clock = perf_counter

    def __call__(self) -> float:
        """A turn; seconds per image."""
        for _ in range(self.feed.ahead):
            self.feed.next()
        self.steps.finish()
        began, images, done = self.clock(), 0, 0
        while done < self.count or self.clock() - began < SHORTEST:
            images += len(self.feed.next().targets)
            done += 1
        self.steps.finish()
        return (self.clock() - began) / images


@dataclass
class Computing:
    """Nothing but steps over a ready batch."""

    steps: TimedSteps
    count: int
    clock: Clock = perf_counter

    def __call__(self) -> float:
        """A turn; seconds per image."""
        began = self.clock()
        self.steps.run(self.count)
        return (self.clock() - began) / (self.count * len(self.steps.batch.targets))


@dataclass
class Training:
    """Batches and steps; `waited` has the share of each turn in which a batch was waited for."""

    feed: Feed
    steps: TimedSteps
    count: int
    clock: Clock = perf_counter
    waited: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        """A turn; seconds per image."""
        for _ in range(self.feed.ahead):
            self.steps.step(self.feed.next())
        self.steps.finish()
        began, images, waited = self.clock(), 0, 0.0
        for _ in range(self.count):
            asked = self.clock()
            batch = self.feed.next()
            waited += self.clock() - asked
            self.steps.step(batch)
            images += len(batch.targets)
        self.steps.finish()
        seconds = self.clock() - began
        self.waited.append(waited / seconds)
        return seconds / images
