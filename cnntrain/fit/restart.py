"""`--resume auto`: one command that begins a run, continues it where it was cut off, and ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial, reduce
from operator import getitem
from pathlib import Path
from typing import Any, TypeAlias

from cnntrain.arch.plan import Plan
from cnntrain.assemble.transfer.preprocessing import follow_weights
from cnntrain.checkpoint import load_newest
from cnntrain.config.from_python import as_overrides
from cnntrain.config.loaded import Loaded
from cnntrain.config.open_numbers import is_filled_in
from cnntrain.config.renamed import renamed_tree
from cnntrain.config.resolved import dump_yaml, resolved_tree
from cnntrain.core.document import parse_document, read_document
from cnntrain.core.errors import CheckpointError, ConfigError, DiskError, UsageError
from cnntrain.fit.fit import Outcome, fit, resume
from cnntrain.fit.pretraining import is_pretraining
from cnntrain.record.observe import Observer
from cnntrain.runs.folder import RunFolder, begin_lock, create_folder
from cnntrain.runs.locate import runs_of
from cnntrain.runs.records import ending
from cnntrain.runs.same_run import (
    ABSENT,
    CHANGEABLE,
    Tree,
    changeable,
    differences,
    in_words,
    plain_tree,
)
from cnntrain.show.words import listed
from cnntrain.train.together import ALONE, Processes

Compared: TypeAlias = tuple[dict[str, Any], list[str]]


def _silence(_text: str) -> None:
    pass


@dataclass(frozen=True)
class Begun:
    """A folder in which a run of this very file was begun; `changes` are of what may change."""

    run: RunFolder
    changes: dict[str, Any]


def fit_or_resume(  # noqa: PLR0913  # those of `fit` and of `resume`
    loaded: Loaded,
    *,
    plan: Plan | None = None,
    out: Path | None = None,
    overrides: Sequence[str] = (),
    plugins: Sequence[Path] = (),
    quiet: bool = False,
    silent: bool = False,
    observers: Sequence[Observer] = (),
    tell: Callable[[str], None] = _silence,
    processes: Processes = ALONE,
) -> Outcome:
    """Continue the run of this file that was cut off, or begin one.

    It is the newest of its name whose run file resolves to the same, apart from `CHANGEABLE`, or
    the one in `out`. One that is complete is left as it is; the outcome then has no event.

    Args:
        plugins: files that the user names, so that they may run.
        loaded, plan, out, overrides, quiet, silent, observers, processes: as in `fit`.
        tell: called with what is done; if quiet, only where that is nothing.

    Raises:
        UsageError: something else is in `out`, or another process trains there.
    """
    begin = partial(
        fit,
        plan=plan,
        overrides=overrides,
        quiet=quiet,
        silent=silent,
        observers=observers,
        processes=processes,
    )
    here = follow_weights(loaded)
    begun = find_begun(here, out=out)
    if begun is None:
        return begin(loaded, make=partial(find_or_create, here, out=out))
    run, changes = begun.run, begun.changes
    if not (run.last.is_file() or run.previous.is_file()):
        again = f"begins {run.path} again, which ended before its first checkpoint"
        if not quiet:
            tell(f"continues {run.path}, in its pre-training" if is_pretraining(run) else again)
        return begin(loaded, make=lambda: run)
    if ending(run) is not None and not changes.keys() & {"train.epochs", "train.early_stop"}:
        tell(f"{run.path} is complete: nothing is left to do")
        processes.of_first(None)
        if (run.path / "lock").exists():  # of a process that was killed as its last act
            with suppress(UsageError, DiskError), run.lock():
                pass
        return Outcome(run, None, None, 0)
    return resume(
        run.path,
        overrides=as_overrides(changes),
        plugins=plugins,
        quiet=quiet,
        silent=silent,
        observers=observers,
        tell=_silence if quiet else tell,
        processes=processes,
    )


def find_or_create(
    loaded: Loaded,
    *,
    out: Path | None,
    allowed: Sequence[str] = CHANGEABLE,
    suffix: str = "",
) -> RunFolder:
    """A new folder for a run; or that of another process, which has begun the same meanwhile.

    For the arguments and errors see `find_begun`.
    """
    root, name = Path(loaded.config.record.root), loaded.config.name
    if out is not None:
        return RunFolder(create_folder(root=root, name=name, out=out))
    with begin_lock(root=root, name=name):
        begun = find_begun(loaded, out=None, allowed=allowed, suffix=suffix)
        if begun is not None:
            return begun.run
        run = RunFolder(create_folder(root=root, name=name, suffix=suffix))
        run.write_text(run.config, dump_yaml(resolved_tree(loaded.config)))
        return run


def find_begun(
    loaded: Loaded,
    *,
    out: Path | None,
    allowed: Sequence[str] = CHANGEABLE,
    suffix: str = "",
) -> Begun | None:
    """The newest run, or cross-validation, of a run file; None where there is none.

    Args:
        loaded: the run file.
        out: look only there.
        allowed: what may differ.
        suffix: of the folder's name, if it is not a run's.

    Raises:
        UsageError: something else is in `out`.
    """
    compared = partial(_compared, here=loaded, allowed=allowed)
    if out is not None:
        return _begun_in(RunFolder(out), compared)
    parent = Path(loaded.config.record.root, loaded.config.name)
    for path in reversed(runs_of(parent, suffix=suffix)):
        there = _tree_of(RunFolder(path))
        if there is not None:
            changes, others = compared(there)
            if not others:
                return Begun(RunFolder(path), changes)
    return None


def _begun_in(run: RunFolder, compared: Callable[[Tree], Compared]) -> Begun | None:
    if run.is_empty() or run.path.is_file():
        return None
    remedy = f"name a new folder, or continue that run with --resume {run.path}"
    there = _tree_of(run)
    if there is None:
        raise UsageError(
            f"--out {run.path} holds something else than a run",
            remedy="name a new or an empty folder",
        )
    changes, others = compared(there)
    if others:
        raise UsageError(
            f"--out {run.path} holds a run of another file: {listed(others, most=3)}",
            remedy=remedy,
        )
    return Begun(run, changes)


def _tree_of(run: RunFolder) -> Tree | None:
    """The resolved run file of a run, or of its checkpoint; None where there is no sound one.

    As it was written: what its plugins register may be something else by now.
    """
    with suppress(ConfigError):
        return _mapping(read_document(run.config).data)
    with suppress(ConfigError, CheckpointError):
        newest = load_newest(run.checkpoints)
        return _mapping(parse_document(str(newest.state["config"]), name=str(newest.path)).data)
    return None


def _mapping(data: object) -> Tree | None:
    return renamed_tree(data) if isinstance(data, Mapping) else None


def _compared(there: Tree, *, here: Loaded, allowed: Sequence[str]) -> Compared:
    """The values of this file for keys that may change, and in words what else differs."""
    tree = plain_tree(here)
    changes: dict[str, Any] = {}
    others: list[str] = []
    for path, old, new in differences(there, tree):
        name = changeable(path, allowed)
        if is_filled_in(path, old, new):
            continue
        if name is not None:
            changes[name] = reduce(getitem, name.split("."), tree)
        elif path[0] != "record" and (old is not ABSENT or here.is_given(path)):
            others.append(in_words(path, old, new, there="there", here="here"))
    return changes, others
