"""A training from its first event to its last, wherever its weights are kept."""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import TypeAlias

from torch import nn

from cnntrain.assemble.graphs import capture_errors
from cnntrain.assemble.make_parts import make_task
from cnntrain.assemble.needed_memory import memory_errors
from cnntrain.assemble.prepare import Prepared, network_of, whole_state
from cnntrain.assemble.probe import compute_features
from cnntrain.assemble.translation import reading
from cnntrain.checkpoint import State, load, save
from cnntrain.checkpoint.writer import Writer
from cnntrain.core.errors import CheckpointError
from cnntrain.fit.interruption import stop_on_signals
from cnntrain.fit.observers import make_observers
from cnntrain.model.recalibrated import SPLIT, recalibrated
from cnntrain.record.observe import Observer, Record, Tally, observe
from cnntrain.runs.contents import epoch_in, open_checkpoint
from cnntrain.runs.folder import RunFolder
from cnntrain.runs.kept_targets import with_thresholds
from cnntrain.tasks.protocol import Result, Task
from cnntrain.train import EpochDone, EvalDone, Event, RunDone, StopRequest, evaluate, train
from cnntrain.train.snapshot import weights_alone
from cnntrain.train.together import lost_processes


@dataclass(frozen=True)
class InFolder:
    """The checkpoints of a run's folder, which a `CheckpointKeeper` writes."""

    run: RunFolder
    writer: Writer = field(default_factory=Writer)

    def best(self, epoch: int) -> State:
        """The state that validation selected, after that epoch.

        Raises:
            CheckpointError: best.pt is missing or damaged, or of another run or epoch.
        """
        state = open_checkpoint(self.run.best, run=self.run).state
        found, _ = epoch_in(state)
        if found != epoch:
            raise CheckpointError(f"{self.run.best} is of epoch {found}")
        return state

    def last(self) -> State:
        """The newest state."""
        return load(self.run.last)

    def put(self, state: State) -> None:
        """Keep this as the best one."""
        save(self.run.best, state)


class InMemory(Observer):
    """An observer that copies the best weights, on their device; nothing is written."""

    run = writer = None

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._best: State | None = None

    def observe(self, event: Record) -> None:
        """Copy the weights, if they are the best ones."""
        if isinstance(event, EpochDone) and event.is_best:
            self._best = copy.deepcopy(self.last())

    def best(self, epoch: int) -> State:
        """The copy, which is of that epoch."""
        assert self._best is not None, epoch
        return self._best

    def weights(self) -> State:
        """The best weights, the last ones where validation has selected none."""
        return self._best or self.last()

    def last(self) -> State:
        """The weights as they are now: no copy."""
        return weights_alone(whole_state(self._prepared))

    def put(self, state: State) -> None:
        """Keep this in place of the copy."""
        self._best = state


class Elsewhere:
    """The checkpoints that the first process keeps: here there are none."""

    run = writer = None

    def best(self, epoch: int) -> State:
        """Never asked for here."""
        raise AssertionError(epoch)

    def last(self) -> State:
        """Never asked for here."""
        raise AssertionError

    def put(self, state: State) -> None:
        """The first process keeps it."""


Kept: TypeAlias = InFolder | InMemory | Elsewhere
"""The states that a training has kept; each has what a checkpoint has, or what is used of it."""


@dataclass(frozen=True)
class Ended:
    """How a training ended: the last event, the test result, the process's exit code."""

    done: RunDone | None
    test: Result | None
    exit_code: int


def train_to_the_end(
    prepared: Prepared,
    *,
    kept: Kept,
    quiet: bool = False,
    silent: bool = False,
    observers: Sequence[Observer] = (),
    notes: Sequence[str] = (),
    last_is_current: bool = False,
) -> Ended:
    """Train, recalibrate where the run file wants it, and test; Ctrl-C stops after a batch.

    Args:
        prepared: the training's parts; its data are closed at the end.
        kept: has the weights that are tested.
        quiet: say nothing but the final line.
        silent: not even that.
        observers: more of them, after the run's own.
        notes: what else there is to say at the start.
        last_is_current: see `CheckpointKeeper`.

    Raises:
        DataError, DivergedError, DiskError: see their kinds.
    """
    processes = prepared.learner.processes
    stop, tally = StopRequest(processes), Tally()
    loaded, plan = prepared.loaded, prepared.plan
    with (
        lost_processes(),
        capture_errors(loaded),
        reading(prepared.data, loaded),
        memory_errors(loaded, plan, device=prepared.device),
    ):
        is_probe = bool(prepared.learner.part)
        found = compute_features(prepared.data, quiet=quiet or silent) if is_probe else []
        make = partial(make_observers, prepared, run=kept.run, writer=kept.writer, quiet=quiet)
        own = (
            make(silent=silent, notes=[*notes, *found], last_is_current=last_is_current)
            if processes.is_first
            else []
        )
        with stop_on_signals(stop, run=kept.run) as interruption:
            done = observe(
                _events(prepared, kept=kept, stop=stop),
                observers=[*own, tally, *observers],
                every=loaded.config.record.every,
                window=prepared.window,
            )
        # all end together, when the first one has saved
        exit_code = processes.largest(interruption.exit_code)
    test = None if tally.test is None else tally.test.metrics
    return Ended(done, test, exit_code)


def _events(prepared: Prepared, *, kept: Kept, stop: StopRequest) -> Iterator[Event]:
    """The training's events; before the last one those of what follows if it is complete.

    Of a run that was resumed after its last epoch these are all.
    """
    for event in train(
        prepared.learner,
        recipe=prepared.recipe,
        criterion=prepared.criterion,
        loader=prepared.data.train,
        validation=prepared.data.validation,
        stop=stop,
    ):
        if isinstance(event, RunDone) and event.reason != "stopped":
            if kept.writer is not None:
                kept.writer.wait()  # its files are read now
            last = yield from _afterwards(prepared, event, kept=kept, stop=stop)
            yield last
        else:
            yield event


def _afterwards(
    prepared: Prepared, last: RunDone, *, kept: Kept, stop: StopRequest
) -> Generator[EvalDone, None, RunDone]:
    """The results of the weights that validation selected, the last ones without it.

    Their statistics are measured again first, if the run file wants that: then these weights are
    the best ones. Done twice, this comes to the same, so a run that was killed here does it again.
    The newest state stays as it is, so that the run can be resumed from it. There is no result on a
    split without images, and none of an evaluation that was stopped.

    Of several processes the first one has these weights, and gives them to the others.

    Returns:
        The last event: the run was stopped, if it was stopped here. Where the weights that
        validation selected are gone, a note says so, and the last ones stand in as they are.
    """
    learner, data, began = prepared.learner, prepared.data, perf_counter()
    processes = learner.processes
    net: nn.Module = learner.evaluated
    splits = {"test": data.test}
    epoch, best = last.best_epoch or last.epoch, None
    try:
        if last.best_epoch is not None and processes.is_first:
            best = kept.best(last.best_epoch)
    except CheckpointError as error:
        epoch, last = last.epoch, replace(last, notes=(_stand_in(last, error),))
    last = replace(last, notes=processes.of_first(last.notes))
    if prepared.loaded.train.recalibrate and not last.notes:
        state = (best or kept.last()) if processes.is_first else None
        found = None if stop.requested else recalibrated(prepared, state, stop=stop)
        if found is None:
            return replace(last, reason="stopped")
        net, best = found
        kept.put(weights_alone(best) if prepared.loaded.config.record.best_weights_only else best)
        splits = {SPLIT: data.validation, **splits}
    elif last.best_epoch is not None and not last.notes and data.test is not None:
        net = network_of(prepared, best)
        began = perf_counter()
    for split, loader in splits.items():
        if loader is None:
            continue
        metrics = evaluate(
            prepared.recipe.answering(net),
            loader,
            criterion=prepared.criterion,
            precision=learner.precision,
            task=_as_selected(prepared, last),
            stop=stop,
            whole=f"the {'validation' if split == SPLIT else split} images",
        )
        if metrics is None:
            return replace(last, reason="stopped")
        yield EvalDone(epoch, last.step, split, metrics, perf_counter() - began)
        began = perf_counter()
    return last


def _as_selected(prepared: Prepared, last: RunDone) -> Task:
    """The task, with what the validation chose that selected these weights; see `Targets`."""
    so_far = prepared.learner.state.so_far
    found = so_far.last if last.notes else so_far.best or so_far.last
    if found is None or found.validation is None:
        return prepared.learner.task
    targets = with_thresholds(prepared.data.targets, found.validation.figures)
    if not targets.thresholds:
        return prepared.learner.task
    return make_task(prepared.loaded, targets, plan=prepared.plan)


def _stand_in(last: RunDone, error: CheckpointError) -> str:
    lost = lost_best(error.problems[0].message, epoch=last.best_epoch)
    return f"{lost}: those of epoch {last.epoch}, the last one, stand in for them"


def lost_best(cause: str, *, epoch: int | None) -> str:
    """What happened to the weights that validation selected, after that epoch."""
    return f"{cause}, so the weights of epoch {epoch}, which validation selected, are lost"
