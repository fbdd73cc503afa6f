"""What the doctor examines, a run file or a run, and what of it each check is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from cnntrain.arch.network import Network
from cnntrain.assemble.find_numbers import find_numbers
from cnntrain.assemble.prepare import Prepared, prepare
from cnntrain.assemble.translation import open_run_data
from cnntrain.assemble.trial_parts import (
    TrialSize,
    bare,
    first_batches,
    lightly,
    method_of,
    plain_batches,
    with_own_targets,
)
from cnntrain.config.from_python import Changes, Source, as_overrides, load_given, name_in
from cnntrain.config.loaded import Loaded
from cnntrain.data.batch import Batch
from cnntrain.data.loaders import Data
from cnntrain.diagnose.effort import Effort
from cnntrain.diagnose.faults import asked_checks
from cnntrain.diagnose.report import Finding
from cnntrain.diagnose.samples import Samples, open_samples
from cnntrain.model.opening import Use, open_model
from cnntrain.runs.locate import run_file_at
from cnntrain.train.briefly import Method, without_decay

DIAGNOSE = Use("a run is diagnosed", None, of_any_file=True, refuses_not_finite=False)

SMALL, FEW = 32, 64
"""Images of a batch that only has to be typical, and of those that are to be memorised."""


@dataclass(frozen=True)
class Patient:
    """All that checks are given: they get copies, or read only.

    Args:
        prepared: the run file's parts; its network is as training begins with it.
        trained: a run's trained network; None for a run file.
        effort: how much is done.
        loaded: the run file as it is; `prepared` reads images one by one.
        until_checked: closes what was opened for one check.
        causes: what earlier checks are certain of.
    """

    prepared: Prepared
    trained: Network | None
    effort: Effort
    loaded: Loaded
    until_checked: ExitStack = field(default_factory=ExitStack)
    causes: list[Finding] = field(default_factory=list)

    @property
    def net(self) -> nn.Module:
        """The network as training begins with it."""
        return self.prepared.learner.model

    def trial_size(self, batch_size: int) -> int:
        """Images of a batch of short trainings, where a run has batches of so many."""
        of = self.prepared.plan.multiply_adds
        on_gpu = self.prepared.device.type != "cpu"
        return TrialSize.of(of, batch_size=batch_size, on_gpu=on_gpu).batch

    @cached_property
    def augmented(self) -> tuple[Batch, ...]:
        """The first training batches, as training sees them; a probe's training sees features."""
        if self.prepared.learner.part:
            return self.plain
        asked = self.effort
        loader = self.prepared.data.train
        found = first_batches(loader, count=asked.recipe_steps, size=asked.batch)
        return with_own_targets(self.prepared, found)

    @cached_property
    def plain(self) -> tuple[Batch, ...]:
        """As many training batches, prepared as for evaluation."""
        asked = self.effort
        return plain_batches(self.prepared, count=asked.recipe_steps, size=asked.batch)

    def listed(self, images: int) -> Batch:
        """So many of the plain training images in one batch, or fewer: none of them twice."""
        size = len(self.plain[0].targets)  # they are of one size
        count = min(-(-images // size), max(1, self.prepared.data.train.size // size))
        listed, targets = zip(*self.plain[:count], strict=True)
        return Batch(torch.cat(listed)[:images], torch.cat(targets)[:images])

    @cached_property
    def held_out(self) -> Batch | None:
        """Images of the split that measures, as evaluation has them; None without one."""
        data, asked = self.prepared.data, self.effort
        loader = data.validation or data.test
        if loader is None or not loader.size:
            return None
        size = min(loader.size, asked.batch)
        found = first_batches(
            loader, count=max(1, min(loader.size, asked.images) // size), size=size
        )
        listed, targets = zip(*with_own_targets(self.prepared, found), strict=True)
        return Batch(torch.cat(listed), torch.cat(targets))

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
    def method(self) -> Method:
        """How the run trains."""
        return method_of(self.prepared)

    @property
    def bare(self) -> Method:
        """The method without weight decay, L1 and label smoothing."""
        return bare(self.method)

    @property
    def without(self) -> Mapping[str, Method]:
        """The method without one of the things that hold the weights back, if the run has it."""
        method = self.method
        criterion, recipe = method.criterion, method.recipe
        found: dict[str, Method] = {}
        if any(group["weight_decay"] for group in self.prepared.learner.optimizer.param_groups):
            found["weight decay"] = without_decay(method)
        if recipe.l1:
            found["L1"] = replace(method, recipe=replace(recipe, l1=0.0))
        if method.penalties:
            found["penalties"] = replace(method, penalties=())
        if (sharp := criterion.plain(weighted=True)) is not criterion:
            found["label smoothing"] = replace(method, criterion=sharp)
        if recipe.clip_norm is not None:
            found["clipping"] = replace(method, recipe=replace(recipe, clip_norm=None))
        return found


def open_patient(
    name: Source,
    *,
    overrides: Changes = (),
    plugins: Sequence[Path] = (),
    checks: Sequence[str] = (),
) -> Patient:
    """The run file, or the run, of `examine`; its checks are looked up after its plugins."""
    path, trained = name_in(name), None
    file = None if path is None else run_file_at(Path(path))
    if path is None or file is not None:
        loaded = load_given(file or name, overrides, plugins=plugins)
    else:
        changed = as_overrides(overrides)
        model = open_model(path, overrides=changed, plugins=plugins, use=DIAGNOSE)
        loaded, trained = model.loaded, model.net.requires_grad_(True)
    asked_checks(checks)
    loaded = find_numbers(loaded)
    prepared = prepare(lightly(loaded))
    freezing = prepared.recipe.freezing
    freezing.hold(prepared.learner.model, epoch=None)
    effort = Effort.of(
        prepared.plan.multiply_adds,
        batch_size=prepared.loaded.config.data.batch,
        on_gpu=prepared.device.type != "cpu",
    )
    return Patient(prepared, trained, effort, loaded)
