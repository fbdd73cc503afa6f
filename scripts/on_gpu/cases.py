"""A run file without its data: its network, loss and recipe, and random images in their place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from cnntrain.arch.plan import Plan
from cnntrain.assemble.make_parts import (
    make_criterion,
    make_groups,
    make_optimizer,
    make_recipe,
    make_task,
)
from cnntrain.assemble.networks import plan_network
from cnntrain.assemble.transfer.preprocessing import follow_weights
from cnntrain.config.load import load
from cnntrain.config.loaded import Loaded
from cnntrain.data.batch import Batching, Loader
from cnntrain.data.image_targets import as_several
from cnntrain.data.loaders import Memory, make_loader, make_pipelines
from cnntrain.data.metadata import facts
from cnntrain.data.pipeline import Pipeline
from cnntrain.data.splits import Pixels, Splits
from cnntrain.data.statistics import with_statistics
from cnntrain.tasks.criterion import Criterion
from cnntrain.tasks.protocol import Task
from cnntrain.tasks.targets import Targets, measured, with_scaling
from cnntrain.train import Ema, Learner, Precision, Recipe

CONFIGS = Path(__file__).parents[2] / "configs"
RUN_FILES = sorted(CONFIGS.glob("*.yaml"))
PHOTOGRAPH = (48, 56)
"""Height and width of what stands for a photograph; the transforms make of it what they want."""


@dataclass(frozen=True)
class Counts:
    """Classes, each with one training image: what a loss asks of the data."""

    classes: tuple[str, ...]

    @property
    def counts(self) -> dict[str, tuple[int, ...]]:
        """Images per class of each split."""
        return {"train": (1,) * len(self.classes)}


@dataclass(frozen=True)
class Case:
    """A run file, its plan, and a few images.

    Args:
        loaded: the run file.
        plan: of its network.
        pixels: random images, of the size in which the data set stores them.
        pipelines: its transforms, `train` and `eval`.
        targets: what the images are learnt with.
    """

    loaded: Loaded
    plan: Plan
    pixels: Pixels
    pipelines: dict[str, Pipeline]
    targets: Targets

    @property
    def is_trained(self) -> bool:
        """Whether the run file trains its network."""
        return self.loaded.config.train is not None

    def loader(self, split: str, memory: Memory, *, batching: Batching) -> Loader:
        """Batches of the images; `split` is `train` or `eval`."""
        pipeline = self.pipelines[split]
        return make_loader(self.pixels, pipeline, name=split, memory=memory, workers=0,
                           batching=batching)  # fmt: skip

    def learner(self, net: nn.Module, *, precision: Precision) -> Learner:
        """With the run file's optimizer and average, and all of the network's weights learning."""
        ema = self.loaded.train.ema
        groups = make_groups(net, optimizer=self.loaded.train.optimizer)
        return Learner(
            net,
            make_optimizer(self.loaded, groups=groups),
            ema=None if ema is None else Ema(net, decay=ema.decay),
            precision=precision,
            task=self.task,
        )

    @property
    def task(self) -> Task:
        """What the run file's network is for."""
        return make_task(self.loaded, self.targets, plan=self.plan)

    def recipe(self, *, steps_per_epoch: int, **changes: Any) -> Recipe:
        """The run file's, with some of its numbers changed."""
        return replace(make_recipe(self.loaded, steps_per_epoch=steps_per_epoch), **changes)

    def criterion(self, device: torch.device) -> Criterion:
        """The run file's loss."""
        data = Counts(self.targets.names)
        size = len(data.classes)
        return make_criterion(self.loaded, task=self.task, data=data, images=size, device=device)


def open_case(file: Path, *, images: int) -> Case:
    """Open a run file; nothing of its data is read."""
    loaded = follow_weights(load(file))
    plan, data = plan_network(loaded), loaded.config.data
    stated, form = facts(data.name, data.parameters), loaded.config.task.form
    classes = plan.description.facts.num_classes or 1
    if form == "distances":
        classes = stated.num_classes or classes
    shape = (images, plan.body.in_shape[0], *(stated.size or PHOTOGRAPH))
    numbers = torch.Generator().manual_seed(0)
    drawn = torch.randint(0, 256, shape, dtype=torch.uint8, generator=numbers)
    names = tuple(f"class{each}" for each in range(classes))
    stored = torch.arange(images) % classes
    if form in ("numbers", "labels"):
        stored = torch.randint(0, 2, (images, classes), generator=numbers).float()
    pixels, known = Pixels(drawn, stored), measured(form, names, stored)
    wanted = loaded.config.task.wanted
    if isinstance(wanted, tuple):  # of several heads, those that need no number
        splits = as_several(Splits(names, pixels), wanted)
        pixels, known = cast(Pixels, splits.train), splits.targets
    lists = {
        split: [(call.name, call.parameters) for call in calls]
        for split, calls in (("train", data.transforms.train), ("eval", data.transforms.eval))
    }
    scaling, plain = with_statistics(lists, pixels)
    targets = with_scaling(known, scaling, channels=shape[1])
    return Case(loaded, plan, pixels, make_pipelines(plain, form=wanted), targets)
