"""The epochs of a run in memory, for whoever trains from Python."""

from __future__ import annotations

from cnntrain.record import observer
from cnntrain.record.metrics_file import epoch_row
from cnntrain.record.observe import Observer, Record
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.protocol import Task
from cnntrain.train.events import EpochDone, RunStarted


@observer("history", unlisted="every training from Python has it")
class History(Observer):
    """Collects one row per epoch, with the columns of metrics.csv.

    `rows` is a list of plain mappings, which `pandas.DataFrame` takes as it is.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []
        self._task: Task = CLASSIFICATION

    def observe(self, event: Record) -> None:
        """Take down an epoch."""
        if isinstance(event, RunStarted):
            self._task = event.task
        elif isinstance(event, EpochDone):
            self.rows.append(epoch_row(event, task=self._task))
