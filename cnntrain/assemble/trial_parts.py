"""What trials of a run's training need: how much may be done, its images, its method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import torch
from torch import nn
from torch.optim import Optimizer

from cnntrain.assemble.make_parts import make_optimizer
from cnntrain.assemble.prepare import Prepared
from cnntrain.assemble.translation import open_run_data
from cnntrain.config.loaded import Loaded
from cnntrain.data.batch import Batch, Loader
from cnntrain.train.briefly import Method, groups_like, steady_copy, without_decay

WORK = 4e11
"""Multiply-adds that trials of one kind may cost on a CPU, roughly: some ten seconds on two
cores."""

STEP_WORK = 2e10
"""Multiply-adds of a step there, beyond which the batches are cut."""

LEAST_BATCH = 8

ON_GPU = 100.0
"""How much more a GPU does in that time."""


@dataclass(frozen=True)
class TrialSize:
    """How much a trial does, as a function of the network's size: the same on all machines of a
    kind. A step has `batch` images, the run's or fewer."""

    batch: int
    steps: int

    @staticmethod
    def of(multiply_adds: int, *, batch_size: int, on_gpu: bool) -> TrialSize:
        """For a network of so many multiply-adds per image."""
        more = ON_GPU if on_gpu else 1.0
        image = 3.0 * max(multiply_adds, 1)  # there and back
        batch = min(batch_size, max(LEAST_BATCH, int(more * STEP_WORK / image)))
        return TrialSize(batch, int(min(max(20, more * WORK / (image * batch) / 6), 80)))


def lightly(loaded: Loaded) -> Loaded:
    """The run file with images read one by one, in this process, and nothing compiled."""
    config = loaded.config
    data = config.data.model_copy(update={"memory": "stream", "workers": 0})
    compute = config.compute.model_copy(update={"compile": False})
    return replace(loaded, config=config.model_copy(update={"data": data, "compute": compute}))


def first_batches(loader: Loader, *, count: int, size: int) -> tuple[Batch, ...]:
    """The first batches, of ten epochs at the most, then again from the first.

    The short one at an epoch's end is left out: after a step on a single image with batch
    normalisation a network may look as if it had learnt nothing.

    Args:
        loader: of the training images.
        count: how many.
        size: images in one; all, where there are fewer.
    """
    size = min(size, loader.size)
    batches = (batch for epoch in range(1, 11) for batch in loader.batches(epoch))
    cut = (Batch(b.images[:size], b.targets[:size]) for b in batches if len(b.targets) >= size)
    found = tuple(islice(cut, count))
    return tuple(found[i % len(found)] for i in range(count))


def plain_batches(prepared: Prepared, *, count: int, size: int) -> tuple[Batch, ...]:
    """Training batches, prepared as for evaluation; for the arguments see `first_batches`."""
    data = open_run_data(
        prepared.loaded, device=prepared.device, eval_steps=prepared.data.eval_pipeline
    )
    return with_own_targets(prepared, first_batches(data.train, count=count, size=size))


@torch.no_grad()
def with_own_targets(prepared: Prepared, batches: Sequence[Batch]) -> tuple[Batch, ...]:
    """The batches, with the targets that the network gives itself, where the task says so."""
    ask = getattr(prepared.learner.task, "targets_in", None)
    if ask is None:
        return tuple(batches)
    net = steady_copy(prepared.learner.model)
    return tuple(Batch(images, ask(net(images).float())) for images, _ in batches)


def method_of(prepared: Prepared) -> Method:
    """How the run trains."""
    learner, recipe = prepared.learner, prepared.recipe

    def make(net: nn.Module) -> Optimizer:
        groups = groups_like(learner.optimizer, learner.model, net)
        return make_optimizer(prepared.loaded, groups=groups)

    recipe = replace(recipe, l2_sp=0.0)  # towards weights that only the run's learner has
    return Method(make, prepared.criterion, recipe, learner.precision, learner.penalties)


def bare(method: Method) -> Method:
    """The method without weight decay, L1, other penalties and label smoothing."""
    method = without_decay(method)
    criterion, recipe = method.criterion.plain(weighted=True), replace(method.recipe, l1=0.0)
    return replace(method, criterion=criterion, recipe=recipe, penalties=())


def joined(batches: Sequence[Batch], *, size: int) -> Batch:
    """So many of their images in one batch, some of them again and again if there are fewer."""
    repeat = -(-size // sum(len(batch.targets) for batch in batches))
    images, targets = zip(*batches, strict=True)
    return Batch(torch.cat(images * repeat)[:size], torch.cat(targets * repeat)[:size])
