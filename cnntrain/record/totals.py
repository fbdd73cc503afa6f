"""What the end of a run is summed up from: the best epoch, the last one, and where time went."""

from __future__ import annotations

from dataclasses import dataclass

from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.protocol import Task
from cnntrain.train.events import EpochDone, EvalDone, RunStarted


@dataclass
class Tally:
    """Sums over the epochs since the run was started or resumed."""

    task: Task = CLASSIFICATION
    select: str = "error"
    best: EpochDone | None = None
    last: EpochDone | None = None
    test: EvalDone | None = None
    images: int = 0
    seconds: float = 0.0
    data_seconds: float = 0.0

    def begin(self, event: RunStarted) -> None:
        """Note what the run is for."""
        self.task, self.select = event.task, event.select

    def add(self, epoch: EpochDone) -> None:
        """Count one epoch in."""
        self.last = epoch
        if epoch.is_best:
            self.best = epoch
        self.images += epoch.images
        self.seconds += epoch.seconds
        self.data_seconds += epoch.data_seconds

    def add_evaluation(self, event: EvalDone) -> None:
        """Keep the result on the test set; that on validation comes with its epoch."""
        if event.split == "test":
            self.test = event

    @property
    def images_per_second(self) -> float:
        """Training images a second over these epochs."""
        return self.images / self.seconds if self.seconds > 0 else 0.0

    @property
    def data_wait(self) -> float:
        """Share of the time spent waiting for data, 0 to 1."""
        return data_wait(self.data_seconds, self.seconds)


def data_wait(data_seconds: float, seconds: float) -> float:
    """Share of the time spent waiting for data, 0 to 1."""
    return min(data_seconds / seconds, 1.0) if seconds > 0 else 0.0
