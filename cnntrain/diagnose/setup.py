"""What the doctor examines: a run file's network, data and recipe, or those of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

import torch
from torch import nn

from cnntrain.arch.network import Network
from cnntrain.assemble.make_parts import make_optimizer
from cnntrain.assemble.prepare import Prepared, prepare
from cnntrain.assemble.translation import open_run_data
from cnntrain.config.from_python import Changes, Source, as_overrides, load_given, name_in
from cnntrain.config.load import Loaded
from cnntrain.data.batch import Batch, Loader
from cnntrain.data.loaders import Data
from cnntrain.diagnose.ranking import asked_checks
from cnntrain.diagnose.samples import Samples, open_samples
from cnntrain.diagnose.training import Method, groups_like
from cnntrain.fit.observers import data_cure
from cnntrain.model.opening import Use, open_model
from cnntrain.runs.locate import run_file_at

DIAGNOSE = Use("a run is diagnosed", None)

WORK = 4e11
"""Multiply-adds that a check may cost on a CPU, roughly: some ten seconds on two cores."""

STEP_WORK = 2e10
"""Multiply-adds of a step there, beyond which the batches are cut."""

LEAST_BATCH = 8

ON_GPU = 100.0
"""How much more a GPU does in that time."""


@dataclass(frozen=True)
class Effort:
    """How much is done, as a function of the network's size: the same on every machine of a kind.

    Args:
        batch: images of a step: the run's, or fewer.
        steps: of a trial of the check `rate`.
        recipe_steps: of a training of the check `recipe`.
        overfit_steps: of an attempt of the check `overfit`, at most.
        weights: derivatives that are compared, about.
        images: that are looked at at once.
    """

    batch: int
    steps: int
    recipe_steps: int
    overfit_steps: int
    weights: int
    images: int

    @staticmethod
    def of(multiply_adds: int, *, batch_size: int, on_gpu: bool) -> Effort:
        """For a network of so many multiply-adds per image."""
        more = ON_GPU if on_gpu else 1.0
        image = 3.0 * max(multiply_adds, 1)  # there and back
        batch = min(batch_size, max(LEAST_BATCH, int(more * STEP_WORK / image)))
        step, passed = image * batch, more * WORK / image

        def within(least: int, value: float, most: int) -> int:
            return int(min(max(least, value), most))

        return Effort(
            batch=batch,
            steps=within(20, more * WORK / step / 6, 80),
            recipe_steps=within(30, more * WORK / step, 150),
            overfit_steps=within(60, passed / 64, 400),
            weights=within(24, passed / 64, 200),
            images=within(32, passed / 16, 256),
        )


@dataclass(frozen=True)
class Patient:
    """All that checks are given: they get copies, or read only.

    Args:
        prepared: the run file's parts; its network is as training begins with it.
        trained: a run's trained network; None for a run file.
        effort: how much is done.
        is_pretrained: whether the network begins with weights that were learnt before.
        loaded: the run file as it is; `prepared` reads images one by one.
        until_checked: closes what was opened for one check.
    """

    prepared: Prepared
    trained: Network | None
    effort: Effort
    is_pretrained: bool
    loaded: Loaded
    until_checked: ExitStack = field(default_factory=ExitStack)

    @property
    def net(self) -> nn.Module:
        """The network as training begins with it."""
        return self.prepared.learner.model

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.prepared.data.classes

    @cached_property
    def augmented(self) -> tuple[Batch, ...]:
        """The first training batches, as training sees them; a probe's training sees features."""
        if self.prepared.learner.part:
            return self.plain
        return _first(self.prepared.data.train, self.effort)

    @cached_property
    def plain(self) -> tuple[Batch, ...]:
        """As many training batches, prepared as for evaluation."""
        data = open_run_data(
            self.prepared.loaded,
            device=self.prepared.device,
            eval_steps=self.prepared.data.eval_pipeline,
        )
        return _first(data.train, self.effort)

    def listed(self, images: int) -> Batch:
        """So many of the plain training images in one batch."""
        return _joined(self.plain, images)

    @cached_property
    def samples(self) -> Samples:
        """Images of the splits, to be looked at."""
        return open_samples(self.prepared.loaded, self.prepared.data)

    @cached_property
    def run_data(self) -> Data:
        """The data read as the run reads them; open until the check that asked for them ends."""
        opened = open_run_data(self.loaded, device=self.prepared.device)
        self.until_checked.callback(opened.close)
        self.until_checked.callback(vars(self).pop, "run_data")
        return opened

    @property
    def data_cure(self) -> str:
        """What to do in this run if training waits for its images."""
        return data_cure(replace(self.prepared, loaded=self.loaded, data=self.run_data))

    @property
    def method(self) -> Method:
        """How the run trains."""
        learner, recipe = self.prepared.learner, self.prepared.recipe

        def make(net: nn.Module) -> torch.optim.Optimizer:
            groups = groups_like(learner.optimizer, learner.model, net)
            return make_optimizer(self.prepared.loaded, groups=groups)

        recipe = replace(recipe, l2_sp=0.0)  # towards weights that only the run's learner has
        return Method(make, self.prepared.criterion, recipe, learner.precision)

    @property
    def bare(self) -> Method:
        """The method without weight decay, L1 and label smoothing."""
        method = _without_decay(self.method)
        criterion = method.criterion.plain(weighted=True)
        return replace(method, criterion=criterion, recipe=replace(method.recipe, l1=0.0))

    @property
    def without(self) -> Mapping[str, Method]:
        """The method without one of the things that hold the weights back, if the run has it."""
        method = self.method
        criterion, recipe = method.criterion, method.recipe
        found: dict[str, Method] = {}
        if any(group["weight_decay"] for group in self.prepared.learner.optimizer.param_groups):
            found["weight decay"] = _without_decay(method)
        if recipe.l1:
            found["L1"] = replace(method, recipe=replace(recipe, l1=0.0))
        if (sharp := criterion.plain(weighted=True)) is not criterion:
            found["label smoothing"] = replace(method, criterion=sharp)
        if recipe.clip_norm is not None:
            found["clipping"] = replace(method, recipe=replace(recipe, clip_norm=None))
        return found


def open_patient(name: Source, *, overrides: Changes = (), checks: Sequence[str] = ()) -> Patient:
    """The run file, or the run, that is named or given; nothing is written.

    Image files are read when they are needed, and no more of them.

    Args:
        name: a run file, the name of a shipped one, a run file's text or its contents, a run's
            folder or a checkpoint.
        overrides: changes of single values.
        checks: that will be made: looked up before anything is prepared, after the run file has
            named its plugins.

    Raises:
        UsageError, ConfigError, DataError, CheckpointError: see their kinds.
    """
    path, trained = name_in(name), None
    file = None if path is None else run_file_at(Path(path))
    if path is None or file is not None:
        loaded = load_given(file or name, overrides)
    else:
        model = open_model(path, overrides=as_overrides(overrides), use=DIAGNOSE)
        loaded, trained = model.loaded, model.net.requires_grad_(True)
    asked_checks(checks)
    prepared = prepare(_lightly(loaded))
    freezing = prepared.recipe.freezing
    freezing.hold(prepared.learner.model, epoch=freezing.settled)
    effort = Effort.of(
        prepared.plan.multiply_adds,
        batch_size=prepared.loaded.config.data.batch_size,
        on_gpu=prepared.device.type != "cpu",
    )
    is_pretrained = getattr(loaded.config, "finetune", None) is not None
    return Patient(prepared, trained, effort, is_pretrained, loaded)


def _lightly(loaded: Loaded) -> Loaded:
    """The run file with images read one by one, in this process, and nothing compiled."""
    config = loaded.config
    data = config.data.model_copy(update={"memory": "stream", "workers": 0})
    compute = config.compute.model_copy(update={"compile": False})
    return replace(loaded, config=config.model_copy(update={"data": data, "compute": compute}))


def _without_decay(method: Method) -> Method:
    def make(net: nn.Module) -> torch.optim.Optimizer:
        optimizer = method.make_optimizer(net)
        for group in optimizer.param_groups:
            group["weight_decay"] = 0.0
        return optimizer

    return replace(method, make_optimizer=make)


def _first(loader: Loader, effort: Effort) -> tuple[Batch, ...]:
    """The first batches, of ten epochs at the most, then again from the first.

    The short one at an epoch's end is left out: after a step on a single image with batch
    normalisation a network may look as if it had learnt nothing.
    """
    wanted, size = effort.recipe_steps, min(effort.batch, loader.size)
    batches = (batch for epoch in range(1, 11) for batch in loader.batches(epoch))
    cut = (Batch(b.images[:size], b.targets[:size]) for b in batches if len(b.targets) >= size)
    found = tuple(islice(cut, wanted))
    return tuple(found[i % len(found)] for i in range(wanted))


def _joined(batches: Sequence[Batch], images: int) -> Batch:
    taken: list[Batch] = []
    for batch in batches:
        taken.append(batch)
        if sum(len(each.targets) for each in taken) >= images:
            break
    joined = torch.cat([batch.images for batch in taken])[:images]
    return Batch(joined, torch.cat([batch.targets for batch in taken])[:images])
