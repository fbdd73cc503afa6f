"""Cross-validation: a run for each fold of the training images, in one folder.

`runs/NAME/<time>-<4 hex>-5folds/` has a run's folder for each fold, `fold1` to `fold5`, the run
file of the first one, and summary.json with all results.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from cnntrain.assemble.checked import check_run_file
from cnntrain.assemble.make_parts import make_task
from cnntrain.assemble.translation import only_these
from cnntrain.config.from_python import as_overrides
from cnntrain.config.load import NAMED
from cnntrain.config.loaded import Loaded
from cnntrain.config.named_plugins import Naming
from cnntrain.config.resolved import dump_yaml, resolved_tree
from cnntrain.config.section import FoldOf
from cnntrain.core.errors import CnntrainError, UsageError
from cnntrain.fit import fit as single
from cnntrain.fit.fold_results import CrossValidated, as_data, fold_result
from cnntrain.fit.restart import find_begun, find_or_create, fit_or_resume
from cnntrain.model.images import every_split
from cnntrain.record.observe import Observer
from cnntrain.runs import same_run
from cnntrain.runs.asked_plugins import keep_copies, load_config, naming_in
from cnntrain.runs.folder import RunFolder, create_folder
from cnntrain.runs.locate import is_run
from cnntrain.runs.records import ending

CHANGEABLE = tuple(key for key in same_run.CHANGEABLE if not key.startswith("train."))
"""What `-s` may change when a cross-validation resumes: nothing that sets its folds apart."""

_HELD_OUT = ("data.split.validation", "data.split", "data.validation", "data")
"""What no `-s` may say with --folds."""


def load_folds(
    file: Path,
    overrides: Sequence[str],
    *,
    folds: int,
    plugins: Naming = NAMED,
    is_of_a_run: bool = False,
) -> list[Loaded]:
    """The run file of each fold: the given one with `data.split.validation: {fold: 1, of: 5}`, ...

    Raises:
        UsageError: an override holds other images out.
        ConfigError: the run file is wrong.
    """
    for text in overrides:
        if text.partition("=")[0].strip() in _HELD_OUT:
            raise UsageError(
                f"--folds says which images are held out, and so does -s {text}",
                remedy="remove one of the two",
            )
    parts = [
        f"data.split.validation={{fold: {number}, of: {folds}}}" for number in range(1, folds + 1)
    ]
    check = partial(check_run_file, file, plugins=plugins, is_of_a_run=is_of_a_run)
    return [check([*overrides, part]).loaded for part in parts]


def cross_validate_or_resume(
    files: Sequence[Loaded],
    *,
    out: Path | None = None,
    overrides: Sequence[str] = (),
    plugins: Sequence[Path] = (),
    quiet: bool = False,
    tell: Callable[[str], None],
) -> CrossValidated:
    """Continue the cross-validation of these files that was cut off, or begin one.

    For the arguments see `cross_validate`. One that is complete is only reported again.
    """
    begin = partial(cross_validate, overrides=overrides, quiet=quiet, tell=tell)
    begun = find_begun(files[0], out=out, allowed=CHANGEABLE, suffix=_suffix(files))
    if begun is None:
        make = partial(find_or_create, files[0], out=out, allowed=CHANGEABLE, suffix=_suffix(files))
        return begin(files, make=make)
    path = begun.run.path
    if is_run(path):
        message = f"--out {path} holds one run, and not a cross-validation"
        raise UsageError(message, remedy="name a new folder")
    tell(f"continues {path}")
    changes = as_overrides(begun.changes)
    return resume_folds(path, overrides=changes, plugins=plugins, quiet=quiet, tell=tell)


def _suffix(files: Sequence[Loaded]) -> str:
    return f"-{len(files)}folds"


def cross_validate(
    files: Sequence[Loaded],
    *,
    out: Path | None = None,
    make: Callable[[], RunFolder] | None = None,
    overrides: Sequence[str] = (),
    quiet: bool = False,
    tell: Callable[[str], None],
    observers: Sequence[Observer] = (),
) -> CrossValidated:
    """Train on all folds but one, and validate on that one, for each in turn.

    Args:
        files: the folds' run files; see `load_folds`.
        out: an exact place for the folder.
        make: makes or finds the folder in place of `create_folder`.
        overrides: what was given with `-s`, to be kept with each run.
        quiet: say nothing but a line per fold.
        tell: says which fold is trained.
        observers: of every run.

    Raises:
        ConfigError, DataError, DivergedError, DiskError: see their kinds.
    """
    config = files[0].config
    every_split(files[0])  # what the data refuse, before a folder is made and a fold announced
    root, suffix = Path(config.record.root), _suffix(files)
    folder = (
        make()
        if make is not None
        else RunFolder(create_folder(root=root, name=config.name, out=out, suffix=suffix))
    )
    train = partial(_train_one, overrides=overrides, quiet=quiet, observers=observers)
    with folder.lock():
        try:
            folder.write_text(folder.config, dump_yaml(resolved_tree(config)))
            folder.write_text(folder.config_input, files[0].document.text)
            keep_copies(folder, files[0])
            return _train(files, folder, train=train, tell=tell)
        except CnntrainError:
            if not (folder.path / "fold1").exists():  # no run could begin: nothing to resume
                shutil.rmtree(folder.path)
            raise


def resume_folds(
    path: Path,
    *,
    overrides: Sequence[str] = (),
    plugins: Sequence[Path] = (),
    quiet: bool = False,
    tell: Callable[[str], None],
    observers: Sequence[Observer] = (),
) -> CrossValidated:
    """Resume a cross-validation: the fold that it stopped in, then those after it.

    One of which all folds are done is only reported again. For the arguments see `cross_validate`,
    for `plugins` `cnntrain.fit.fit.resume`.

    Raises:
        UsageError: the folder is another one's, or a change is not one that can be made.
        CheckpointError: it asks for a plugin that the user has never named.
    """
    only_these(list(overrides), allowed=CHANGEABLE, doing="a cross-validation resumes")
    folder = RunFolder(path)
    train = partial(
        _train_one, overrides=overrides, plugins=plugins, quiet=quiet, observers=observers
    )
    folder.refuse_links()
    with folder.lock():
        loaded = load_config(folder, plugins=plugins)
        held_out = loaded.config.data.split.validation
        if not isinstance(held_out, FoldOf):
            message = f"{path} is not the folder of a cross-validation"
            raise UsageError(message, remedy="check the path")
        for note in loaded.notes:
            tell(note)
        naming = naming_in(folder, plugins=plugins)
        load = partial(load_folds, folds=held_out.of, plugins=naming, is_of_a_run=True)
        files = load(folder.config, overrides)
        return _train(files, folder, train=train, tell=tell)


def is_cross_validation(path: Path) -> bool:
    """Whether a folder holds the runs of folds, and is none itself."""
    return RunFolder(path).config.is_file() and not is_run(path)


def _train(
    files: Sequence[Loaded],
    folder: RunFolder,
    *,
    train: Callable[[Loaded, RunFolder], single.Outcome],
    tell: Callable[[str], None],
) -> CrossValidated:
    """Train the folds that are not done; what is known is in summary.json after each of them."""
    found = CrossValidated(folder.path, len(files), (), make_task(files[0]))
    for number, loaded in enumerate(files, start=1):
        run = RunFolder(folder.path / f"fold{number}")
        if ending(run) is None:
            tell(f"fold {number} of {len(files)}: {run.path}")
            done = train(loaded, run)
            if done.exit_code:
                tell(
                    f"stopped in fold {number}; resume it with cnntrain fit --resume {folder.path}"
                )
                return replace(found, exit_code=done.exit_code)
        found = replace(found, results=(*found.results, fold_result(number, run, found.figure)))
        folder.write_json(folder.summary, as_data(found))
    return found


def _train_one(
    loaded: Loaded,
    run: RunFolder,
    *,
    overrides: Sequence[str],
    quiet: bool,
    observers: Sequence[Observer],
    plugins: Sequence[Path] = (),
) -> single.Outcome:
    return fit_or_resume(
        loaded,
        out=run.path,
        overrides=overrides,
        plugins=plugins,
        quiet=quiet,
        observers=observers,
    )
