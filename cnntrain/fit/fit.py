"""Training from a run file, and resuming a run that stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from cnntrain.arch.plan import Plan
from cnntrain.arch.table import as_data
from cnntrain.arch.table_text import as_text
from cnntrain.assemble.find_numbers import find_numbers
from cnntrain.assemble.networks import plan_network
from cnntrain.assemble.prepare import Prepared, prepare, restore_whole
from cnntrain.assemble.translation import only_these
from cnntrain.checkpoint import load
from cnntrain.config.loaded import Loaded
from cnntrain.core.atomic import disk_errors
from cnntrain.core.errors import CheckpointError, UsageError
from cnntrain.core.escapes import escaped
from cnntrain.data.left_out import rows
from cnntrain.fit.follow import Order
from cnntrain.fit.resume_checks import check_same_data, check_unfinished, what_changes
from cnntrain.fit.to_the_end import Ended, InFolder, lost_best, train_to_the_end
from cnntrain.record.log import log_to
from cnntrain.record.observe import Observer, Record
from cnntrain.runs.asked_plugins import keep_copies
from cnntrain.runs.contents import (
    belonging,
    classes_in,
    moment_in,
    newest_checkpoint,
    open_checkpoint,
    read_run_file,
)
from cnntrain.runs.environment import describe_environment
from cnntrain.runs.folder import RunFolder, create_run, point_latest, removed_unless_begun
from cnntrain.runs.kept_run_file import kept_in
from cnntrain.runs.locate import find_run
from cnntrain.runs.same_run import CHANGEABLE
from cnntrain.tasks.protocol import Result
from cnntrain.train import RunDone, RunStarted
from cnntrain.train.together import ALONE, Processes

LOG = logging.getLogger("cnntrain.run")


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its folder, the last event, the test result, the process's exit code."""

    run: RunFolder
    done: RunDone | None
    test: Result | None
    exit_code: int


def fit(  # noqa: PLR0913  # those of `create_run` and of `train_to_the_end`
    loaded: Loaded,
    *,
    plan: Plan | None = None,
    out: Path | None = None,
    make: Callable[[], RunFolder] | None = None,
    overrides: Sequence[str] = (),
    quiet: bool = False,
    silent: bool = False,
    observers: Sequence[Observer] = (),
    processes: Processes = ALONE,
) -> Outcome:
    """Train from a run file, in a run folder of its own.

    Args:
        loaded: the run file.
        plan: of its network, where it is made already.
        out: an exact place for the run's folder.
        make: makes or finds the folder in place of `create_run`; it holds no checkpoint.
        overrides: what was given with `-s`, to be kept with the run.
        quiet: say nothing but the final line.
        silent: not even that.
        observers: more of them.
        processes: that train together, of which this is the first; the others `follow`.

    Raises:
        ConfigError, DataError, DivergedError, DiskError: see their kinds.
    """
    processes.of_first(Order())
    if processes.is_alone:  # else `prepare` refuses what is open
        loaded = find_numbers(loaded, plan=plan)
    prepared = prepare(loaded, plan=plan, processes=processes)
    config = loaded.config
    create = partial(create_run, root=Path(config.record.root), name=config.name, out=out)
    run = (make or create)()
    run.make()
    with run.lock():
        if run.last.exists() or run.previous.exists():
            message = f"another process has trained in {run.path} meanwhile"
            raise UsageError(message, remedy=f"continue its run with --resume {run.path}")
        ended = _begin(
            prepared, run, overrides=overrides, quiet=quiet, silent=silent, observers=observers
        )
    return Outcome(run, ended.done, ended.test, ended.exit_code)


def _begin(
    prepared: Prepared,
    run: RunFolder,
    *,
    overrides: Sequence[str],
    quiet: bool,
    silent: bool,
    observers: Sequence[Observer],
) -> Ended:
    """Train in a folder that is locked and new; without a checkpoint it is removed again."""
    with removed_unless_begun(run):
        run.remove_drafts()
        _write_facts(prepared, run)
        run.write_text(run.overrides, _lines([*map(escaped, overrides)]))
        with log_to(run.log):
            for note in prepared.loaded.notes:
                LOG.info(note)
            return train_to_the_end(
                prepared,
                kept=InFolder(run),
                quiet=quiet,
                silent=silent,
                observers=[_Latest(run), *observers],
                notes=prepared.loaded.notes,
            )


class _Latest(Observer):
    """Points `latest` to a run when it has its first checkpoint: from then on it can be used."""

    sees_steps = False

    def __init__(self, run: RunFolder) -> None:
        self._run = run

    def observe(self, event: Record) -> None:
        """Point it."""
        if isinstance(event, RunStarted):
            point_latest(self._run)


def _write_facts(prepared: Prepared, run: RunFolder) -> None:
    _write_plan(prepared, run)  # config.yaml first: by it a run that is cut off here is known
    run.write_text(run.config_input, prepared.loaded.document.text)
    keep_copies(run, prepared.loaded)
    computed = {"device": str(prepared.device), "precision": prepared.learner.precision}
    run.write_json(run.environment, {**describe_environment(), **computed})
    if prepared.start is not None:
        run.write_json(run.weights, asdict(prepared.start))


def _write_plan(prepared: Prepared, run: RunFolder) -> None:
    """What follows from the run file and the data, also where a run is resumed."""
    learning = prepared.learning
    run.write_text(run.config, prepared.config_text + _chosen(prepared))
    run.write_json(run.plan_json, as_data(prepared.plan, learning=learning))
    run.write_text(run.plan_text, as_text(prepared.plan, learning=learning))
    run.write_text(run.classes, _lines(prepared.data.classes))
    # files only where images are left out or held out
    if prepared.data.left_out:
        run.write_text(run.left_out, rows(prepared.data.left_out))
    else:
        run.left_out.unlink(missing_ok=True)
    if prepared.data.division is not None:
        run.write_text(run.split, prepared.data.division.text())


def _chosen(prepared: Prepared) -> str:
    """A comment on what `auto` came to here; elsewhere it may come to something else."""
    if prepared.loaded.config.compute.precision != "auto":
        return ""
    return f"# compute.precision: auto is {prepared.learner.precision} on {prepared.device}\n"


def resume(
    path: Path,
    *,
    overrides: Sequence[str] = (),
    plugins: Sequence[Path] = (),
    quiet: bool = False,
    silent: bool = False,
    observers: Sequence[Observer] = (),
    tell: Callable[[str], None] = lambda _: None,
    processes: Processes = ALONE,
) -> Outcome:
    """Resume a run in its own folder, from its last checkpoint, bit for bit.

    Args:
        path: the run's folder, `runs/NAME`, or one of its checkpoints.
        overrides: changes; see `CHANGEABLE`.
        plugins: files that the user names, so that they may run.
        quiet, silent, observers, processes: as in `fit`.
        tell: called with the run and the step that it continues from.

    Raises:
        UsageError: the run is done, or a change is not one of those that can be made.
        CheckpointError: there is no sound checkpoint, or it asks for a plugin that the user has
            never named, or a link leads out of the folder.
    """
    found = find_run(path, newest=True)
    run = found.run
    if run is None:
        remedy = "name the run's folder; to start from weights, start a new run"
        raise UsageError(f"{path} lies in no run's folder", remedy=remedy)
    only_these(list(overrides), allowed=CHANGEABLE, doing="a run is resumed")
    run.refuse_links()
    notes: list[str] = []
    with run.lock():
        source = found.to_resume()
        if found.given is None:
            newest = newest_checkpoint(run.checkpoints)
            source, opened = newest.path, belonging(newest.state, path=newest.path, run=run)
            notes += [f"{reason}; resuming from {source}" for reason in newest.skipped]
        else:
            opened = open_checkpoint(source, run=run)
        state = opened.state
        notes += opened.notes
        named = [text for text in overrides if text.partition("=")[0].strip() == "plugins"]
        read = partial(read_run_file, state, path=source, run=run, plugins=plugins)
        before, loaded = read(overrides=named), read(overrides=overrides)
        with kept_in(source, overrides):
            plan = plan_network(loaded, num_classes=len(classes_in(state, path=source)))
        processes.of_first(Order(state, source, run.path, tuple(overrides)))
        prepared = prepare(loaded, resumed=state, plan=plan, processes=processes)
        check_same_data(prepared, state, source)
        restore_whole(prepared, state)
        check_unfinished(before, prepared, run)
        notes += [*loaded.notes, *what_changes(before, prepared)]
        notes += _lost_best(prepared, run)
        notes += run.set_folders_aside()
        tell(f"continues {run.path} {_position(prepared)}")
        _write_what_changes(prepared, run, overrides)
        with log_to(run.log):
            for note in notes:
                LOG.warning(note)
            ended = train_to_the_end(
                prepared,
                kept=InFolder(run),
                quiet=quiet,
                silent=silent,
                observers=observers,
                notes=notes,
                last_is_current=source == run.last and state.get("config") == prepared.config_text,
            )
    return Outcome(run, ended.done, ended.test, ended.exit_code)


def _lost_best(prepared: Prepared, run: RunFolder) -> list[str]:
    """What is to be said of a best.pt that is not the best; one of another run is refused."""
    best_epoch = prepared.learner.state.best_epoch
    try:
        state = load(run.best)
    except CheckpointError as error:
        what = error.problems[0].message
    else:
        belonging(state, path=run.best, run=run)
        moment = moment_in(state)
        what = "" if moment == f"epoch {best_epoch}" else f"{run.best} is of {moment}"
    if best_epoch is None or not what:
        return []
    return [lost_best(what, epoch=best_epoch)]


def _position(prepared: Prepared) -> str:
    at = prepared.learner.state
    is_over = at.epoch >= prepared.recipe.epochs
    where = "after its last epoch" if is_over else f"from epoch {at.epoch + 1}"
    return f"{where}, step {at.step}"


def _write_what_changes(prepared: Prepared, run: RunFolder, overrides: Sequence[str]) -> None:
    """The files of a resumed run that are not those of before; it is complete no more."""
    loaded = prepared.loaded
    run.remove_drafts()
    with disk_errors(run.summary):
        run.summary.unlink(missing_ok=True)
    keep_copies(run, loaded)
    _write_plan(prepared, run)
    earlier = run.overrides.read_text("utf-8", "replace") if run.overrides.is_file() else ""
    run.write_text(run.overrides, earlier + _lines([*map(escaped, overrides)]))


def _lines(texts: Sequence[str]) -> str:
    return "".join(f"{text}\n" for text in texts)
