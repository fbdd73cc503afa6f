"""Training from Python, as `cnntrain.fit`: in memory or in a run's folder, disturbing nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from cnntrain.assemble.checked import Checked, check_loaded
from cnntrain.assemble.find_numbers import find_numbers
from cnntrain.assemble.prepare import prepare
from cnntrain.config.from_python import Changes, Source, as_overrides, try_to_load_given
from cnntrain.core.errors import UsageError
from cnntrain.core.launch import refuse_several
from cnntrain.fit import fit as in_folder
from cnntrain.fit.pretraining import pretrained
from cnntrain.fit.restart import fit_or_resume
from cnntrain.fit.to_the_end import Ended, InMemory, train_to_the_end
from cnntrain.model.model import Model
from cnntrain.model.opening import model_from, open_model
from cnntrain.record.history import History
from cnntrain.record.observe import Observer
from cnntrain.runs.folder import RunFolder
from cnntrain.show.progress import quietly
from cnntrain.tasks.protocol import Result
from cnntrain.train import RunDone, undisturbed


@dataclass(frozen=True)
class Fitted:
    """What came of a training.

    Args:
        history: one mapping per epoch of this call, with the columns of metrics.csv.
        model: the network with the best weights, the last ones where there is no validation.
        done: how it ended: `reason`, `epoch`, `step`, `best_epoch`, `best_value`, `seconds`.
        test: the result on the test set; None without one, or if training was stopped.
        run: the run's folder, if there is one.
    """

    history: list[dict[str, object]]
    model: Model
    done: RunDone
    test: Result | None
    run: Path | None


def fit(
    file: Source,
    *,
    overrides: Changes = (),
    out: str | os.PathLike[str] | None = None,
    observers: Sequence[Observer] = (),
    quiet: bool = False,
) -> Fitted:
    """Train the network of a run file.

    Progress goes to stderr. Random states, threads and flags of the process are afterwards as they
    were before. Ctrl-C ends training after the batch in work, and what there is by then is
    returned (`done.reason` is "stopped"); a second one raises KeyboardInterrupt at once.

    Args:
        file: a run file, the name of a shipped one, its text, or its contents as a mapping.
        overrides: changes of single values, such as `{"train.epochs": 2}`.
        out: an exact place for the run's folder, or the folder of all runs (`record.root`, usually
            "runs"), in which it gets a place by name and time; None: nothing is written, whatever
            `record` says, but for the files of observers that it lists.
        observers: objects with `observe(event)` and `close()`, such as a plot.
        quiet: say nothing.

    Raises:
        UsageError, ConfigError: everything that is wrong with the run file, at its lines.
        DataError, CheckpointError, DivergedError, DiskError: see their kinds.
    """
    refuse_several("cnntrain.fit")
    changes = as_overrides(overrides)
    checked = check_loaded(*try_to_load_given(file, changes))
    history = History()
    listening = (history, *observers)
    ended: Ended | in_folder.Outcome
    run: Path | None = None
    model: Model | None = None
    with undisturbed(), quietly(quiet):
        if out is None:
            ended, model = _in_memory(checked, observers=listening, quiet=quiet)
        else:
            is_root = Path(out) == Path(checked.loaded.config.record.root)
            exact = None if is_root else Path(out)
            is_auto = checked.loaded.config.record.resume == "auto"
            begin = fit_or_resume if is_auto else in_folder.fit
            ended = begin(
                checked.loaded,
                plan=checked.plan,
                out=exact,
                overrides=changes,
                silent=quiet,
                observers=listening,
            )
            run = ended.run.path
            if ended.done is None:
                remedy = f"open it with cnntrain.load({str(run)!r}), or give another out"
                raise UsageError(f"{run} is complete: nothing is left to do", remedy=remedy)
    if ended.exit_code not in (0, 128 + signal.SIGINT):  # held back until the state was whole
        signal.raise_signal(ended.exit_code - 128)
    assert ended.done is not None
    if model is None:
        assert run is not None
        with undisturbed():
            model = open_model(run)
    return Fitted(history.rows, model, ended.done, ended.test, run)


def _in_memory(
    checked: Checked, *, observers: Sequence[Observer], quiet: bool
) -> tuple[Ended, Model]:
    loaded = find_numbers(checked.loaded, plan=checked.plan)
    prepared = prepare(loaded, plan=checked.plan)
    with TemporaryDirectory() as folder:  # of the stages of pre-training, if there are any
        start = pretrained(
            prepared,
            RunFolder(Path(folder)),
            begin=in_folder.fit,
            go_on=in_folder.resume,
            silent=quiet,
            observers=observers,
        )
    if isinstance(start, Ended):
        return start, model_from(InMemory(prepared).weights(), path=Path("<memory>"))
    kept = InMemory(start)
    ended = train_to_the_end(
        start, kept=kept, silent=quiet, observers=[kept, *observers], notes=loaded.notes
    )
    return ended, model_from(kept.weights(), path=Path("<memory>"))
