"""The run that `latest` points to."""

from __future__ import annotations

from cnntrain.record.observe import Observer, Record
from cnntrain.runs.folder import RunFolder, point_latest
from cnntrain.train import RunStarted


class Latest(Observer):
    """Points `latest` to a run when it has its first checkpoint: from then on it can be used."""

    sees_steps = False

    def __init__(self, run: RunFolder) -> None:
        self._run = run

    def observe(self, event: Record) -> None:
        """Point it."""
        if isinstance(event, RunStarted):
            point_latest(self._run)
