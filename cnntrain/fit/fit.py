"""Training from a run file, and going on with a run that stopped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from cnntrain.arch.table import as_data
from cnntrain.arch.table_text import as_text
from cnntrain.assemble.parts import only_these, reading
from cnntrain.assemble.prepare import Prepared, prepare
from cnntrain.assemble.probe import compute_features
from cnntrain.checkpoint import load, load_newest
from cnntrain.config.load import Loaded
from cnntrain.config.show import dump_yaml, resolved_tree
from cnntrain.core.errors import UsageError
from cnntrain.fit.observers import make_observers
from cnntrain.fit.resume_checks import check_same_data, check_unfinished, what_changes
from cnntrain.fit.signals import stop_on_signals
from cnntrain.model.model import network_of
from cnntrain.model.recalibrate import recalibrate_best
from cnntrain.record.log import log_to
from cnntrain.record.observe import Observer, observe
from cnntrain.runs.contents import read_run_file
from cnntrain.runs.environment import describe_environment
from cnntrain.runs.folder import RunFolder, create_run
from cnntrain.runs.locate import find_run
from cnntrain.tasks import Classification
from cnntrain.train import EvalDone, Event, RunDone, StopRequest, evaluate, restore, train

CHANGEABLE = (
    "train.epochs",
    "train.early_stop",
    "data.root",
    "data.workers",
    "data.memory",
    "compute.device",
    "compute.threads",
    "plugins",
    "record.every",
    "record.tensorboard",
    "record.checkpoint_every",
)
"""What `-s` may change when a run goes on: nothing that would make it another run."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its folder, the last event, the test result, the process's exit code."""

    run: RunFolder
    done: RunDone | None
    test: Classification | None
    exit_code: int


def fit(
    loaded: Loaded,
    *,
    out: Path | None = None,
    overrides: Sequence[str] = (),
    quiet: bool = False,
    observers: Sequence[Observer] = (),
) -> Outcome:
    """Train from a run file, in a new run folder.

    Args:
        loaded: the run file.
        out: an exact place for the run's folder.
        overrides: what was given with `-s`, to be kept with the run.
        quiet: say nothing but the final line.
        observers: more of them.

    Raises:
        ConfigError, DataError, DivergedError, DiskError: see their kinds.
    """
    prepared = prepare(loaded)
    config = loaded.config
    run = create_run(root=Path(config.record.root), name=config.name, out=out)
    with run.lock():
        _write_facts(prepared, run, overrides)
        return _train(prepared, run=run, quiet=quiet, more=observers)


def resume(
    path: Path,
    *,
    overrides: Sequence[str] = (),
    quiet: bool = False,
    observers: Sequence[Observer] = (),
) -> Outcome:
    """Go on with a run in its own folder, from its last checkpoint, bit for bit.

    Args:
        path: the run's folder, `runs/NAME`, or one of its checkpoints.
        overrides: changes; see `CHANGEABLE`.
        quiet: say nothing but the final line.
        observers: more of them.

    Raises:
        UsageError: the run is done, or a change is not one of those that can be made.
        CheckpointError: there is no sound checkpoint.
    """
    found = find_run(path)
    if found.run is None:
        remedy = "name the run's folder; to start from weights, start a new run"
        raise UsageError(f"{path} lies in no run's folder", remedy=remedy)
    only_these(list(overrides), allowed=CHANGEABLE, doing="a run is resumed")
    notes: list[str] = []
    with found.run.lock():
        source = found.to_resume()
        if found.given is None:
            newest = load_newest(found.run.checkpoints)
            source, state = newest.path, newest.state
            notes += [f"{reason}; resuming from {source}" for reason in newest.skipped]
        else:
            state = load(source)
        before = read_run_file(state, path=source, overrides=[])
        loaded = read_run_file(state, path=source, overrides=list(overrides))
        prepared = prepare(loaded, resumed=state)
        check_same_data(prepared, state, source)
        restore(prepared.learner, state)
        check_unfinished(before, prepared, found.run)
        notes += what_changes(before, prepared)
        _write_facts(prepared, found.run, overrides, resumed=True)
        sound = source == found.run.last
        return _train(
            prepared, run=found.run, quiet=quiet, more=observers, notes=notes, last_is_sound=sound
        )


def _train(
    prepared: Prepared,
    *,
    run: RunFolder,
    quiet: bool,
    more: Sequence[Observer],
    notes: Sequence[str] = (),
    last_is_sound: bool = True,
) -> Outcome:
    stop = StopRequest()
    tested: list[Classification] = []
    every = prepared.loaded.config.record.every
    with log_to(run.log), reading(prepared.data, prepared.loaded):
        notes = [*notes, *compute_features(prepared.data, quiet=quiet)]
        listeners = make_observers(
            prepared, run=run, quiet=quiet, notes=notes, last_is_sound=last_is_sound
        )
        with stop_on_signals(stop) as interruption:
            events = _events(prepared, run=run, stop=stop, tested=tested)
            done = observe(events, observers=[*listeners, *more], every=every)
    result = tested[0] if tested else None
    return Outcome(run, done, result, interruption.exit_code)


def _events(
    prepared: Prepared, *, run: RunFolder, stop: StopRequest, tested: list[Classification]
) -> Iterator[Event]:
    """The training's events; before the last one those of what follows a training that is complete.

    That is the recalibration, where the run file wants it, and the result on the test set.
    """
    learner, data = prepared.learner, prepared.data
    events = train(
        learner,
        recipe=prepared.recipe,
        criterion=prepared.criterion,
        loader=data.train,
        validation=data.validation,
        stop=stop,
    )
    renew = prepared.loaded.train.recalibrate
    for event in events:
        is_end = isinstance(event, RunDone) and event.reason != "stopped"
        if isinstance(event, RunDone) and is_end and renew:
            renewed = recalibrate_best(prepared, run=run, last=event, stop=stop)
            if renewed is not None:
                yield renewed
        if isinstance(event, RunDone) and is_end and data.test is not None:
            done = _test(prepared, run=run, last=event, stop=stop)
            if done is not None:
                tested.append(done.metrics)
                yield done
        yield event


def _test(
    prepared: Prepared, *, run: RunFolder, last: RunDone, stop: StopRequest
) -> EvalDone | None:
    """Classify the test set with the weights that validation selected, the last ones without it."""
    learner, test = prepared.learner, prepared.data.test
    assert test is not None
    net = learner.evaluated
    has_best = last.best_epoch is not None or prepared.loaded.train.recalibrate
    if run.best.is_file() and has_best:
        net = network_of(prepared, load(run.best), path=run.best)
    began = perf_counter()
    metrics = evaluate(
        net, test, criterion=prepared.criterion, precision=learner.precision, stop=stop
    )
    if metrics is None:
        return None
    epoch = last.best_epoch or last.epoch
    return EvalDone(epoch, last.step, "test", metrics, perf_counter() - began)


def _write_facts(
    prepared: Prepared, run: RunFolder, overrides: Sequence[str], *, resumed: bool = False
) -> None:
    loaded = prepared.loaded
    run.write_text(run.config, dump_yaml(resolved_tree(loaded.config)))
    if resumed:
        earlier = run.overrides.read_text("utf-8") if run.overrides.is_file() else ""
        run.write_text(run.overrides, earlier + "".join(f"{text}\n" for text in overrides))
        return
    run.write_text(run.config_input, loaded.document.text)
    run.write_text(run.overrides, "".join(f"{text}\n" for text in overrides))
    run.write_json(run.plan_json, as_data(prepared.plan, learning=prepared.learning))
    run.write_text(run.plan_text, as_text(prepared.plan, learning=prepared.learning))
    run.write_json(run.environment, describe_environment())
    run.write_text(run.classes, "".join(f"{name}\n" for name in prepared.data.classes))
    if prepared.start is not None:
        run.write_json(run.weights, prepared.start.as_data())
