"""Training from a run file, and resuming a run that stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cnntrain.arch.plan import Plan
from cnntrain.assemble.find_numbers import find_numbers
from cnntrain.assemble.networks import plan_network
from cnntrain.assemble.prepare import Prepared, prepare, restore_whole
from cnntrain.assemble.translation import only_these
from cnntrain.config.loaded import Loaded
from cnntrain.core.errors import UsageError
from cnntrain.fit.facts import write_facts, write_what_changes
from cnntrain.fit.follow import Order
from cnntrain.fit.latest import Latest
from cnntrain.fit.pretraining import is_pretraining, pretrained
from cnntrain.fit.resume_checks import (
    check_same_data,
    check_unfinished,
    contents_to_resume,
    notes_on_best,
    what_changes,
)
from cnntrain.fit.to_the_end import Ended, InFolder, train_to_the_end
from cnntrain.record.log import log_to
from cnntrain.record.observe import Observer
from cnntrain.runs.asked_plugins import load_config
from cnntrain.runs.contents import classes_in, of_a_run, read_run_file
from cnntrain.runs.folder import RunFolder, create_run, removed_unless_begun
from cnntrain.runs.kept_run_file import kept_in
from cnntrain.runs.locate import find_run
from cnntrain.runs.same_run import CHANGEABLE
from cnntrain.tasks.protocol import Result
from cnntrain.train import RunDone
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
        write_facts(prepared, run, overrides)
        with log_to(run.log):
            for note in prepared.loaded.notes:
                LOG.info(note)
            listening = [Latest(run), *observers]
            how: dict[str, Any] = {"quiet": quiet, "silent": silent, "observers": listening}
            start = pretrained(prepared, run, begin=fit, go_on=resume, overrides=overrides, **how)
            if isinstance(start, Ended):
                return start
            return train_to_the_end(
                start,
                kept=InFolder(run),
                notes=prepared.loaded.notes,
                **how,
            )


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
    if found.given is None and is_pretraining(run):
        loaded = of_a_run(load_config(run, overrides=overrides, plugins=plugins), overrides)
        tell(f"continues {run.path} in its pre-training")
        how: dict[str, Any] = {"quiet": quiet, "silent": silent, "observers": observers}
        return fit(loaded, make=lambda: run, overrides=overrides, processes=processes, **how)
    notes: list[str] = []
    with run.lock():
        opened = contents_to_resume(found, run)
        source, state = opened.path, opened.state
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
        notes += notes_on_best(prepared, run)
        notes += run.set_folders_aside()
        tell(f"continues {run.path} {_position(prepared)}")
        write_what_changes(prepared, run, overrides)
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


def _position(prepared: Prepared) -> str:
    at = prepared.learner.state
    is_over = at.epoch >= prepared.recipe.epochs
    where = "after its last epoch" if is_over else f"from epoch {at.epoch + 1}"
    return f"{where}, step {at.step}"
