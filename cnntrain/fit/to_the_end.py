"""A training from its first event to its last, whoever listens and wherever weights are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

from torch import nn

from cnntrain.assemble.prepare import Prepared
from cnntrain.assemble.probe import compute_features
from cnntrain.assemble.translation import reading
from cnntrain.data.batch import Loader
from cnntrain.fit.interruption import stop_on_signals
from cnntrain.fit.kept import Kept
from cnntrain.model.recalibrated import SPLIT, network_of, recalibrated
from cnntrain.record.observe import Observer, observe
from cnntrain.tasks.protocol import Result
from cnntrain.train import EvalDone, Event, RunDone, StopRequest, evaluate, train

Listen = Callable[[Sequence[str]], Sequence[Observer]]
"""Gives the observers, who are made when there are notes for them to tell at the start."""


@dataclass(frozen=True)
class Ended:
    """How a training ended: the last event, the test result, the process's exit code."""

    done: RunDone | None
    test: Result | None
    exit_code: int


def train_to_the_end(
    prepared: Prepared, *, kept: Kept, listen: Listen, quiet: bool = False
) -> Ended:
    """Train, recalibrate where the run file wants it, and test; Ctrl-C stops after a batch.

    Args:
        prepared: the training's parts; its data are closed at the end.
        kept: has the weights that are tested.
        listen: gives the observers, one of which keeps the weights.
        quiet: show no bar while features are computed.

    Raises:
        DataError, DivergedError, DiskError: see their kinds.
    """
    stop = StopRequest()
    tested: list[Result] = []
    every = prepared.loaded.config.record.every
    with reading(prepared.data, prepared.loaded):
        listeners = listen(compute_features(prepared.data, quiet=quiet))
        with stop_on_signals(stop, saves=kept.on_disk) as interruption:
            events = _events(prepared, kept=kept, stop=stop, tested=tested)
            done = observe(events, observers=listeners, every=every)
    return Ended(done, tested[0] if tested else None, interruption.exit_code)


def _events(
    prepared: Prepared, *, kept: Kept, stop: StopRequest, tested: list[Result]
) -> Iterator[Event]:
    """The training's events; before the last one those of what follows if it is complete."""
    learner, data = prepared.learner, prepared.data
    for event in train(
        learner,
        recipe=prepared.recipe,
        criterion=prepared.criterion,
        loader=data.train,
        validation=data.validation,
        stop=stop,
    ):
        if isinstance(event, RunDone) and event.reason != "stopped":
            for result in _afterwards(prepared, event, kept=kept, stop=stop):
                tested += [result.metrics] if result.split == "test" else []
                yield result
        yield event


def _afterwards(
    prepared: Prepared, last: RunDone, *, kept: Kept, stop: StopRequest
) -> Iterator[EvalDone]:
    """The results of the weights that validation selected, the last ones without it.

    Their statistics are measured again first, if the run file wants that: then these weights are
    the best ones. The newest state stays as it is, so that the run can go on from it.
    """
    data, began = prepared.data, perf_counter()
    best = None if last.best_epoch is None else kept.best()
    net: nn.Module = prepared.learner.evaluated
    if prepared.loaded.train.recalibrate:
        net, best = recalibrated(prepared, best or kept.last())
        kept.put(best)
        yield from _evaluated(
            prepared, net, SPLIT, data.validation, last=last, stop=stop, began=began
        )
    elif best is not None:
        net = network_of(prepared, best)
    began = perf_counter()
    yield from _evaluated(prepared, net, "test", data.test, last=last, stop=stop, began=began)


def _evaluated(
    prepared: Prepared,
    net: nn.Module,
    split: str,
    loader: Loader | None,
    *,
    last: RunDone,
    stop: StopRequest,
    began: float,
) -> Iterator[EvalDone]:
    """The result on a split; none without its images, or if the evaluation was stopped."""
    if loader is None:
        return
    metrics = evaluate(
        net,
        loader,
        criterion=prepared.criterion,
        precision=prepared.learner.precision,
        stop=stop,
        task=prepared.learner.task,
    )
    if metrics is not None:
        epoch = last.best_epoch or last.epoch
        yield EvalDone(epoch, last.step, split, metrics, perf_counter() - began)
