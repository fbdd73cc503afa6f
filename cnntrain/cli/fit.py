"""`cnntrain fit`: train, or go on training."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from cnntrain.cli import output
from cnntrain.cli.options import Overrides, Plugins, checked_run_file
from cnntrain.core.errors import UsageError
from cnntrain.core.launch import refuse_several
from cnntrain.show.tables import columns

if TYPE_CHECKING:
    from cnntrain.fit.fit import Outcome
    from cnntrain.fit.fold_results import CrossValidated, Figure

AUTO = "auto"
"""In the place of a run: the one that is to be continued is looked for."""


def fit(  # noqa: PLR0913  # one parameter for each option
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE",
            help="A run file, the name of a shipped one, or a folder of images: then a run file is "
            "chosen and written.",
        ),
    ] = None,
    overrides: Overrides = None,
    plugins: Plugins = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Resume this run, in its own folder; auto, with FILE: its run that was cut off, "
            "or begin one.",
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Short for -s train.epochs=N.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="An exact place for the run's folder.")
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            min=2, metavar="K", help="Cross-validate: K runs, each validated on its part."
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the final line.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log to the terminal.")] = False,
    no_report: Annotated[
        bool, typer.Option("--no-report", help="Do not write report.html in the end.")
    ] = False,
) -> None:
    """Train the network of a run file. The run's folder is printed on stdout."""
    given, named = list(overrides or []), plugins or []
    if epochs is not None:
        given.append(f"train.epochs={epochs}")
    is_auto = resume == AUTO
    _refuse_contradictions(file, resume, out=out, folds=folds)
    if file is not None and Path(file).exists() and Path(file).suffix != ".yaml":
        refuse_several("choosing a run file for a folder of images")
        file = _run_file_of_folder(file, given, quiet=quiet)
    if file is not None and folds is not None:
        _cross_validate(
            file,
            given,
            folds,
            plugins=named,
            out=out,
            is_auto=is_auto,
            quiet=quiet,
            verbose=verbose,
        )
        return
    checked = None if file is None else checked_run_file(file, given, plugins=named)
    if checked is None and _resumes_folds(
        Path(resume or ""), given, plugins=named, quiet=quiet, verbose=verbose
    ):
        return
    from cnntrain.fit.fit import fit as start
    from cnntrain.fit.fit import resume as go_on
    from cnntrain.fit.follow import follow
    from cnntrain.fit.restart import fit_or_resume
    from cnntrain.show.progress import quietly
    from cnntrain.train.together import joined

    outcome, code = None, 0
    with joined() as processes, output.log_shown(verbose), quietly(quiet or not processes.is_first):
        if not processes.is_first:
            code = follow(checked, processes=processes, plugins=named)
        elif checked is not None:
            is_auto = is_auto or checked.loaded.config.record.resume == "auto"
            begin = partial(fit_or_resume, plugins=named, tell=output.note) if is_auto else start
            outcome = begin(checked.loaded, plan=checked.plan, out=out, overrides=given,
                            quiet=quiet, processes=processes)  # fmt: skip
        else:
            outcome = go_on(Path(resume or ""), plugins=named, overrides=given, quiet=quiet,
                            processes=processes)  # fmt: skip
    if outcome is not None:
        code = _end(outcome, plugins=named, quiet=quiet, no_report=no_report)
    if not processes.is_alone:
        _leave(code)
    if code:
        raise typer.Exit(code)


def _leave(code: int) -> NoReturn:
    """End a process that had joined others; torch's threads may abort one that is taken apart."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it, or it is closed
            stream.flush()
    os._exit(code)


def _end(outcome: Outcome, *, plugins: list[Path], quiet: bool, no_report: bool) -> int:
    """The report of a run, and its folder on stdout; returns the exit code."""
    if outcome.exit_code == 0 and not no_report:
        is_new = outcome.done is not None
        _write_report(outcome.run.path, plugins=plugins, quiet=quiet, is_new=is_new)
    output.result(str(outcome.run.path), is_needed=False)
    return outcome.exit_code


def _resumes_folds(
    run: Path, given: list[str], *, plugins: list[Path], quiet: bool, verbose: bool
) -> bool:
    """Resume a cross-validation, if that is what the folder holds."""
    from cnntrain.fit.folds import is_cross_validation, resume_folds
    from cnntrain.show.progress import quietly

    if not is_cross_validation(run):
        return False
    refuse_several("cross-validation")
    with output.log_shown(verbose), quietly(quiet):
        _tell(resume_folds(run, overrides=given, plugins=plugins, quiet=quiet, tell=output.note))
    return True


def _write_report(run: Path, *, plugins: list[Path], quiet: bool, is_new: bool) -> None:
    """The page about the run; a leaf, so it may be absent."""
    if find_spec("cnntrain.cli.report") is not None:
        module = import_module("cnntrain.cli.report")
        module.after_fit(run, plugins=plugins, quiet=quiet, is_new=is_new)


def _run_file_of_folder(name: str, given: list[str], *, quiet: bool) -> str:
    """The run file for a folder of images; what is no such folder as it is."""
    from cnntrain.fit.folder_of_images import is_folder_of_images, refuse_other_file, run_file_for

    refuse_other_file(Path(name))
    if not is_folder_of_images(name):
        return name
    tell = output.note if not quiet else lambda _: None
    return str(run_file_for(name, overrides=given, tell=tell))


def _refuse_contradictions(
    file: str | None, resume: str | None, *, out: Path | None, folds: int | None
) -> None:
    is_auto = resume == AUTO
    if is_auto and file is None:
        remedy = "`cnntrain fit FILE --resume auto`; a folder of that name is ./auto"
        raise UsageError("--resume auto needs the run file", remedy=remedy)
    if (file is None) == (resume is None or is_auto):
        remedy = (
            "`cnntrain fit FILE`, `cnntrain fit FILE --resume auto` or `cnntrain fit --resume RUN`"
        )
        raise UsageError("give either a run file or a run to resume", remedy=remedy)
    if resume is not None and not is_auto and (out is not None or folds is not None):
        option = "--out" if out is not None else "--folds"
        remedy = f"remove {option}"
        raise UsageError("--out and --folds cannot be combined with --resume", remedy=remedy)


def _cross_validate(
    file: str,
    given: list[str],
    folds: int,
    *,
    plugins: list[Path],
    out: Path | None,
    is_auto: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    from cnntrain.config import shipped
    from cnntrain.config.named_plugins import Naming
    from cnntrain.config.open_numbers import refuse_open
    from cnntrain.config.pretrain_rules import refuse_pretraining
    from cnntrain.fit.folds import cross_validate, cross_validate_or_resume, load_folds
    from cnntrain.show.progress import quietly

    refuse_several("cross-validation")
    naming = Naming.by_user(plugins)
    files = load_folds(shipped.resolve(file), given, folds=folds, plugins=naming)
    refuse_open(files[0].config, doing="--folds")
    refuse_pretraining(files[0], doing="--folds")
    is_auto = is_auto or files[0].config.record.resume == "auto"
    begin = partial(cross_validate_or_resume, plugins=plugins) if is_auto else cross_validate
    with output.log_shown(verbose), quietly(quiet):
        found = begin(files, out=out, overrides=given, quiet=quiet, tell=output.note)
    _tell(found)


def _tell(found: CrossValidated) -> None:
    """The folds' errors as a table, with mean and standard deviation; then the folder."""
    if found.results:
        output.result(_as_text(found), is_needed=False)
    output.result(str(found.path), is_needed=False)
    if found.exit_code:
        raise typer.Exit(found.exit_code)


def _as_text(found: CrossValidated) -> str:
    name = found.figure
    rows = [["fold", "images", name, "best", "at epoch", f"test {name}"]]
    for result in found.results:
        last, best, test = map(found.text, (result.last, result.best, result.test))
        rows.append(
            [str(result.fold), f"{result.images:,}", last, best, str(result.best_epoch), test]
        )
    figures: tuple[Figure, ...] = ("last", "best", "test")
    for label, over in (("mean", found.mean), ("+-", found.deviation)):
        last, best, test = (found.text(over(figure)) for figure in figures)
        rows.append([label, "", last, best, "", test])
    if found.mean("test") is None:
        rows = [row[:-1] for row in rows]
    return columns(rows, right=range(1, 6)) + (
        f"\n{name}: after the last epoch; +-: standard deviation over the folds\n"
        "best: of all epochs, picked on these very images, so an optimistic estimate"
    )
