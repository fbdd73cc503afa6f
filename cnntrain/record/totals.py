"""What several observers note and name alike: an epoch's figures, and a run's in all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnntrain.record.observe import Observer, Record
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.protocol import Task
from cnntrain.train.events import EpochDone, EvalDone, RunStarted, waited


@dataclass
class Tally(Observer):
    """What the run is for, its best and last epoch, and sums since it was started or resumed."""

    task: Task = CLASSIFICATION
    select: str = "error"
    best: EpochDone | None = None
    last: EpochDone | None = None
    test: EvalDone | None = None
    images: int = 0
    seconds: float = 0.0
    data_seconds: float = 0.0

    def observe(self, event: Record) -> None:
        """Count an event in; the result on validation images comes with its epoch."""
        if isinstance(event, RunStarted):
            self.task, self.select = event.task, event.select
        elif isinstance(event, EvalDone) and event.split == "test":
            self.test = event
        elif isinstance(event, EpochDone):
            self.last = event
            self.best = event if event.is_best else self.best
            self.images += event.images
            self.seconds += event.seconds
            self.data_seconds += event.data_seconds

    @property
    def images_per_second(self) -> float:
        """Training images a second over these epochs."""
        return self.images / self.seconds if self.seconds > 0 else 0.0

    @property
    def data_wait(self) -> float:
        """Share of the time spent waiting for data, 0 to 1."""
        return waited(self.data_seconds, self.seconds)


def epoch_figures(
    epoch: EpochDone | None, task: Task, *, validation: Sequence[str]
) -> dict[str, float | None]:
    """`train_loss`, `train_error`, `validation_loss`, ... in the order of the columns.

    Args:
        epoch: None if there is none: all are None.
        task: it has the names.
        validation: the names of those wanted on the validation images; None without such images.
    """
    found = None if epoch is None else epoch.validation
    trained = None if epoch is None else {"loss": epoch.train_loss, **epoch.train_figures}
    evaluated = None if found is None else {"loss": found.loss, **found.figures}
    return {
        f"{split}_{name}": None if values is None else values[name]
        for split, values, names in (
            ("train", trained, task.train_figures),
            ("validation", evaluated, validation),
        )
        for name in ("loss", *names)
    }
