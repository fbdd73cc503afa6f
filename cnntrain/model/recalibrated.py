"""Batch normalisation's statistics measured again, in a run that ends and in one that has ended."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from torch import nn

from cnntrain.assemble.make_parts import make_criterion
from cnntrain.assemble.prepare import Prepared, network_of
from cnntrain.assemble.several import has_running_statistics
from cnntrain.assemble.transfer.make_freezing import make_freezing
from cnntrain.assemble.translation import open_run_data
from cnntrain.checkpoint import State, load, save
from cnntrain.core.errors import UsageError
from cnntrain.data.batch import Batch, Loader
from cnntrain.data.left_out import tell
from cnntrain.model.opening import EVALUATE, Use, open_model
from cnntrain.model.watched_loader import WatchedLoader
from cnntrain.runs.locate import find_run
from cnntrain.tasks.protocol import Result, Task
from cnntrain.train import StopRequest, evaluate, make_deterministic
from cnntrain.train.finite import refuse_weights_not_finite
from cnntrain.train.recalibrate import recalibrate

LOG = logging.getLogger("cnntrain.recalibrate")
RECALIBRATE = Use("a checkpoint is recalibrated", EVALUATE.changeable)
SPLIT = "recalibrated"
"""The split's name of the evaluation that follows: it is of the validation images."""


@dataclass(frozen=True)
class Recalibrated:
    """What `recalibrate_run` did: the old and the new checkpoint, and the results of both.

    `layers` are the names of the batch normalisations; the results are those on `split`;
    `select` is the figure that selected the best weights; `notes` are about the weights, and
    plugins that have changed.
    """

    source: Path
    path: Path
    layers: tuple[str, ...]
    split: str
    before: Result
    after: Result
    task: Task
    select: str
    notes: tuple[str, ...] = ()

    @property
    def is_worse(self) -> bool:
        """Whether this figure is worse than before."""
        return self.task.cost(self.after, self.select) > self.task.cost(self.before, self.select)


def recalibrate_run(
    path: Path,
    *,
    exact: bool = False,
    overrides: Sequence[str] = (),
    plugins: Sequence[Path] = (),
) -> Recalibrated:
    """Measure the statistics of a run's best weights on its training images, without augmentation.

    The result is a checkpoint of its own, `recalibrated.pt`, beside the other one. What was frozen
    in these weights' epoch (`finetune.freeze`) keeps its statistics.

    Args:
        path: a run's folder, `runs/NAME` for its latest, or a checkpoint file.
        exact: one pass for each normalisation; see `cnntrain.train.recalibrate`.
        overrides: changes, as for an evaluation.
        plugins: files that the user names, so that they may run.

    Raises:
        UsageError: the network has no batch normalisation, or recalibrated.pt already exists.
        CheckpointError: the checkpoint is missing, damaged, or of other classes.
    """
    source = find_run(path).to_evaluate()
    target = source.with_name("recalibrated.pt")
    if target.exists():
        raise UsageError(f"{target} already exists", remedy="remove it, or give it another name")
    model = open_model(path, overrides=overrides, plugins=plugins, use=RECALIBRATE)
    net, loaded, precision = model.net, model.loaded, model.precision
    freezing = make_freezing(loaded, plan=model.plan, net=net)
    freezing.hold(net, epoch=max(model.epoch, 1))
    if not has_running_statistics(net):
        raise UsageError(
            f"the network of {source} has no batch normalisation with running statistics, or they "
            "are frozen (finetune.freeze)",
            remedy="there is nothing to recalibrate",
        )
    make_deterministic(loaded.config.compute.deterministic)
    opened = open_run_data(loaded, device=model.device, eval_steps=model.eval_steps)
    with closing(opened) as data:
        model.check_classes(data.classes)
        tell(data.left_out)
        loaders = {"validation": data.validation, "test": data.test, "train": data.train}
        split, loader = next((name, found) for name, found in loaders.items() if found)
        size = data.train.size
        criterion = make_criterion(
            loaded, task=model.task, data=data, images=size, device=model.device
        )
        measure = partial(evaluate, criterion=criterion, precision=precision, task=model.task)
        images = WatchedLoader(data.train, what="train")
        loader = WatchedLoader(loader, what=split)
        before = measure(net, loader)
        layers = recalibrate(net, images, exact=exact, precision=precision)
        after = measure(net, loader)
    assert before is not None, "nothing stops it"
    assert after is not None
    save(target, _with_weights(load(source), net))
    select = loaded.config.task.selecting(loaded.train.select)
    return Recalibrated(
        source, target, layers, split, before, after, model.task, select, loaded.notes
    )


class _Stopped(Exception):  # noqa: N818  nothing is wrong
    pass


class _StoppableLoader:
    """The batches of another loader; `_Stopped` in place of the next one after a stop request."""

    def __init__(self, loader: Loader, stop: StopRequest) -> None:
        self.size = loader.size
        self.batches_per_epoch = loader.batches_per_epoch
        self._loader = loader
        self._stop = stop

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch; see `Loader`."""
        yield from self._stop.batches(self._loader.batches(epoch, start=start))
        if self._stop.requested:
            raise _Stopped

    def images_in(self, batch: int) -> int:
        """Images in a batch; see `Loader`."""
        return self._loader.images_in(batch)


def recalibrated(
    prepared: Prepared, state: State | None, *, stop: StopRequest
) -> tuple[nn.Module, State] | None:
    """The network of one of a training's own states, with new statistics; and its state.

    Args:
        prepared: the training's parts; of several processes each does a part of the work.
        state: it is not changed; the first process has it.
        stop: ends it after a batch, or while it waits for one; then there is no result.
    """
    processes = prepared.learner.processes
    net = network_of(prepared, state)
    steps, share = prepared.data.eval_pipeline, replace(processes.share, in_turns=True)
    opened = open_run_data(prepared.loaded, device=prepared.device, eval_steps=steps, share=share)
    with closing(opened) as data:
        # several processes add up what they have seen, so none of them may end by itself
        images = _StoppableLoader(data.train, stop) if processes.is_alone else data.train
        try:
            layers = recalibrate(
                net, images, precision=prepared.learner.precision, processes=processes
            )
        except _Stopped:
            return None
    if stop.agree():
        return None
    refuse_weights_not_finite(net, of="the recalibrated network")
    LOG.info("recalibrated %d batch normalisations", len(layers))
    return net, _with_weights(state or {}, net)


def _with_weights(state: State, net: nn.Module) -> State:
    """A checkpoint with these weights in the place of those that are evaluated.

    Their temperature is that of the others, and is left out.
    """
    part = "model" if state.get("ema") is None else "ema"
    kept = {name: value for name, value in state.items() if name != "temperature"}
    return {**kept, part: dict(net.state_dict())}
