"""What every process but the first does, where several train together: it has no run folder.

The first process decides: it makes the run's folder or finds the one to continue, holds its lock,
reads the checkpoint, and sends the others what they need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cnntrain.assemble.checked import Checked
from cnntrain.assemble.prepare import prepare, restore_whole
from cnntrain.checkpoint import State
from cnntrain.fit.to_the_end import Elsewhere, train_to_the_end
from cnntrain.runs.contents import read_run_file
from cnntrain.runs.folder import RunFolder
from cnntrain.train.together import Processes


@dataclass(frozen=True)
class Order:
    """What the first process has decided: a new run, or one that is resumed.

    Args:
        state: the checkpoint that is resumed from; None: a new run.
        path: of it.
        run: the run's folder.
        overrides: changes of the run file that it holds.
    """

    state: State | None = None
    path: Path = field(default_factory=Path)
    run: Path = field(default_factory=Path)
    overrides: tuple[str, ...] = ()


def follow(
    checked: Checked | None,
    *,
    processes: Processes,
    plugins: Sequence[Path] = (),
) -> int:
    """Train along, silently; returns the exit code.

    Args:
        checked: the run file; None: that of the run that is resumed.
        processes: of which this is not the first.
        plugins: files that the user names, so that they may run.

    Raises:
        ConfigError, DataError, CheckpointError, DivergedError: see `fit` and `resume`.
        ProcessLostError: another process has ended.
    """
    order: Order | None = processes.of_first(None)
    if order is None:  # nothing is left to do
        return 0
    if order.state is not None:
        loaded = read_run_file(
            order.state,
            path=order.path,
            run=RunFolder(order.run),
            plugins=plugins,
            overrides=order.overrides,
        )
        prepared = prepare(loaded, resumed=order.state, processes=processes)
        restore_whole(prepared, order.state)
    else:
        assert checked is not None
        prepared = prepare(checked.loaded, plan=checked.plan, processes=processes)
    return train_to_the_end(prepared, kept=Elsewhere(), silent=True).exit_code
