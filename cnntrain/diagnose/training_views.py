"""The same training images as different lists of transforms prepare them, small and in memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cnntrain.config.loaded import Loaded
from cnntrain.config.schema import TransformCall
from cnntrain.core.seeding import derive_seed
from cnntrain.data import TRANSFORMS
from cnntrain.data.batch import Batching
from cnntrain.data.loaders import Data, make_loader
from cnntrain.data.pipeline import Pipeline, build_pipeline
from cnntrain.data.splits import Part, Pixels
from cnntrain.diagnose.small_net import reduced
from cnntrain.model.images import every_split
from cnntrain.show.pixels import Scaling

IN_MEMORY, FROM_FILES, FROM_LARGE_FILES = 2000, 400, 200
"""Training images that are looked at."""

LARGE = 2**20
"""Pixels of an image file from which on reading it takes longer than all else."""

BATCH = 256

Steps = Sequence[Mapping[str, Any]]
"""Transforms as plain data: `{"name": "horizontal_flip", "probability": 0.5}`."""


@dataclass(frozen=True)
class TrainingViews:
    """Some training images, to be prepared by any list of transforms.

    Args:
        part: the images.
        train_steps: the transforms of training.
        eval_steps: those of evaluation.
        scaling: what `normalize` without numbers does.
        seed: the run's.
    """

    part: Part
    train_steps: Steps
    eval_steps: Steps
    scaling: Scaling | None = None
    seed: int = 0

    @property
    def targets(self) -> Tensor:
        """`(N,)` class numbers; of other tasks `(N, K)`."""
        return self.part.targets

    def seen(self, steps: Steps, *, among: Tensor, epochs: Sequence[int] = (1,)) -> Tensor:
        """The images at the places `among`, one epoch after the other, `(epochs * n, C, s, s)`.

        Args:
            steps: that prepare them; those that mix images are left out.
            among: places.
            epochs: that decide what random steps draw.

        Raises:
            DataError: images are unreadable.
            TransformError: a transform is impossible on one of them.
        """
        loader = make_loader(
            self.part.select(among),
            self._pipeline(steps),
            name="train",
            memory="auto",
            workers=0,
            batching=Batching(BATCH, seed=self.seed),
        )
        batches = (batch for epoch in epochs for batch in loader.batches(epoch))
        return torch.cat([reduced(batch.images) for batch in batches])

    def size_before(self, place: int) -> tuple[int, int]:
        """Height and width of the first image where the training transform at a place gets it."""
        before = self._pipeline(self.train_steps[:place])
        return before.output_size(self.part.size_of(0))

    def _pipeline(self, steps: Steps) -> Pipeline:
        own = [step for step in steps if not is_mixing(step)]
        if self.scaling is not None:
            known = {"mean": list(self.scaling.mean), "std": list(self.scaling.std)}
            own = [
                {**step, **known} if step["name"] == "normalize" and not step.get("mean") else step
                for step in own
            ]
        return build_pipeline(own)


def is_mixing(step: Mapping[str, Any]) -> bool:
    """Whether it mixes images with each other."""
    return bool(TRANSFORMS.entry(str(step["name"])).options.get("mixes"))


def is_random(step: Mapping[str, Any]) -> bool:
    """Whether it draws random numbers for each image."""
    return bool(TRANSFORMS.entry(str(step["name"])).options.get("random")) and not is_mixing(step)


def open_views(loaded: Loaded, data: Data) -> TrainingViews:
    """Some training images of a run file, drawn from its seed; `data` is what was opened from it.

    Raises:
        DataError: images are missing.
    """
    part, seed, asked = every_split(loaded).train, loaded.config.seed, loaded.config.data.transforms
    most = IN_MEMORY if isinstance(part, Pixels) else FROM_FILES
    if not isinstance(part, Pixels) and math.prod(part.size_of(0)) > LARGE:
        most = FROM_LARGE_FILES
    generator = torch.Generator().manual_seed(derive_seed(seed, "views"))
    chosen = torch.randperm(len(part), generator=generator)[:most].sort().values
    train, evaluation = (_plain(calls) for calls in (asked.train, asked.eval))
    return TrainingViews(part.select(chosen), train, evaluation, data.statistics, seed)


def _plain(calls: Sequence[TransformCall]) -> Steps:
    """What a run file asks for, without parameters that are as usual."""
    return [
        {
            "name": call.name,
            **{
                name: list(value) if isinstance(value, tuple) else value
                for name, value in call.parameters.items()
                if (known := TRANSFORMS.entry(call.name).parameter(name)) is None
                or known.required
                or known.default != value
            },
        }
        for call in calls
    ]
