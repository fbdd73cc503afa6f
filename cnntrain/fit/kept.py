"""Where a training keeps the weights that were best: in its run's folder, or in memory."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import ClassVar, Protocol

from cnntrain.assemble.prepare import Prepared, whole_state
from cnntrain.checkpoint import State, load, save
from cnntrain.record.observe import Observer, Record
from cnntrain.runs.folder import RunFolder
from cnntrain.train import EpochDone

_ONLY_TO_GO_ON = ("optimizer", "scaler", "start", "random")
"""What a state holds that is needed for more training, and for nothing else."""


class Kept(Protocol):
    """The states that a training has kept; each has what a checkpoint has.

    `on_disk` says whether they outlive the process.
    """

    on_disk: ClassVar[bool]

    def best(self) -> State | None:
        """The one that validation selected; None where there is none."""
        ...

    def last(self) -> State:
        """The newest."""
        ...

    def put(self, state: State) -> None:
        """Keep this as the best one."""
        ...


@dataclass(frozen=True)
class InFolder:
    """The checkpoints of a run's folder, which a `CheckpointKeeper` writes."""

    on_disk: ClassVar[bool] = True
    run: RunFolder

    def best(self) -> State | None:
        """The state in best.pt."""
        return load(self.run.best) if self.run.best.is_file() else None

    def last(self) -> State:
        """The state in last.pt."""
        return load(self.run.last)

    def put(self, state: State) -> None:
        """Write best.pt."""
        save(self.run.best, state)


class InMemory(Observer):
    """An observer that copies the best weights, on their device; nothing is written.

    Args:
        prepared: the training's parts.
    """

    on_disk: ClassVar[bool] = False

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._best: State | None = None

    def observe(self, event: Record) -> None:
        """Copy the weights, if they are the best ones."""
        if isinstance(event, EpochDone) and event.is_best:
            self._best = copy.deepcopy(self.last())

    def best(self) -> State | None:
        """The copy."""
        return self._best

    def last(self) -> State:
        """The weights as they are now: no copy."""
        whole = whole_state(self._prepared)
        return {name: part for name, part in whole.items() if name not in _ONLY_TO_GO_ON}

    def put(self, state: State) -> None:
        """Keep this in place of the copy."""
        self._best = state
