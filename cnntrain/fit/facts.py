"""What a run's folder says of the run before it trains: run file, plan, classes, machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from cnntrain.arch.table import as_data
from cnntrain.arch.table_text import as_text
from cnntrain.assemble.prepare import Prepared
from cnntrain.core.atomic import disk_errors
from cnntrain.core.escapes import escaped
from cnntrain.data.left_out import rows
from cnntrain.runs.asked_plugins import keep_copies
from cnntrain.runs.environment import describe_environment
from cnntrain.runs.folder import RunFolder


def write_facts(prepared: Prepared, run: RunFolder, overrides: Sequence[str]) -> None:
    """The files of a new run; `overrides` are those of the command line."""
    _write_plan(prepared, run)  # config.yaml first: by it a run that is cut off here is known
    if not run.has_stages:  # else it is there, and a resumed run has no other than config.yaml
        run.write_text(run.config_input, prepared.loaded.document.text)
    keep_copies(run, prepared.loaded)
    computed = {"device": str(prepared.device), "precision": prepared.learner.precision}
    run.write_json(run.environment, {**describe_environment(), **computed})
    if prepared.start is not None:
        run.write_json(run.weights, asdict(prepared.start))
    run.write_text(run.overrides, _lines([*map(escaped, overrides)]))


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


def write_what_changes(prepared: Prepared, run: RunFolder, overrides: Sequence[str]) -> None:
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
