"""Targets that are images: each image is the target of what corruption leaves of it.

Transforms say of themselves that they corrupt (`corrupts=True` in the decorator). Where a network
learns images, what corrupts changes the input only; all other transforms change both alike, so the
input and its target are always of the same crop. In training corruption is drawn again in every
epoch; in evaluation it follows from the seed and the image's position in its split.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from cnntrain.core.seeding import derive_seed
from cnntrain.core.target_forms import TargetForm, Wanted, has_image
from cnntrain.data import TRANSFORMS
from cnntrain.data.batch import Batch, Loader
from cnntrain.data.pipeline import Pipeline, Transform, build_eval_pipeline, build_pipeline
from cnntrain.data.splits import Splits
from cnntrain.data.transform_errors import TransformError
from cnntrain.data.transform_parts import Showing, unit
from cnntrain.data.windows import HeightWidth

NAME = "image"
"""What the only output is called where class names would stand."""


def corrupts(name: str) -> bool:
    """Whether a transform changes an input and not its target."""
    return bool(TRANSFORMS.entry(name).options.get("corrupts"))


def uncorrupted(steps: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Transforms as plain data without those that corrupt: what is done to images of a user's."""
    return [step for step in steps if TRANSFORMS.find(step["name"]) is None
            or not corrupts(step["name"])]  # fmt: skip


def as_images(splits: Splits) -> Splits:
    """A data set whose targets are its images: whatever else they have is forgotten."""

    def without(part: Any) -> Any:
        return replace(part, targets=torch.zeros(len(part), dtype=torch.int64))

    parts = {name: without(part) for name, part in splits.parts.items()}
    return replace(splits, classes=(NAME,), form="image", **parts)


def as_several(splits: Splits, wanted: tuple[TargetForm, ...]) -> Splits:
    """A data set whose targets are these, one part behind the other; it has all but the images."""
    there = splits.forms or ((splits.form, splits.classes),)
    kept = tuple(part for part in there if part[0] in wanted)
    classes = tuple(name for _, names in kept for name in names)
    forms = (*kept, ("image", (NAME,))) if "image" in wanted else kept

    def joined(part: Any) -> Any:
        columns = part.targets if part.targets.ndim > 1 else part.targets[:, None]
        return replace(part, targets=columns.float() if kept else torch.zeros(len(part), 0))

    parts = {name: joined(part) for name, part in splits.parts.items()}
    return replace(splits, classes=classes or (NAME,), form="several", forms=forms, **parts)


def pipeline_for(
    form: Wanted, items: Sequence[Mapping[str, Any]], *, is_training: bool
) -> Pipeline:
    """The pipeline of transforms as plain data, for targets of a form; errors as of `paired`."""
    is_image = has_image(form)
    made = build_pipeline(items) if is_training else build_eval_pipeline(items, corrupts=is_image)
    return paired(made, is_training=is_training) if is_image else made


def with_targets(loader: Loader, targets: str, *, memory_format: torch.memory_format) -> Loader:
    """A loader whose batches have the targets that its pipeline says; see `Pipeline.targets`."""
    if targets == "stored":
        return loader
    return ImageTargets(loader, pairs=targets == "pairs", memory_format=memory_format)


def paired(pipeline: Pipeline, *, is_training: bool) -> Pipeline:
    """Transforms that give each input with its target, `(N, 2 C, H, W)`, where one corrupts.

    Where none corrupts the images are as before, and each is its own target.

    Args:
        pipeline: the transforms.
        is_training: whether corruption comes from the generator; else from `Showing`.

    Raises:
        TransformError: one that stands after a corruption is random and would change the target
            differently than the input; or images are mixed.
    """
    first = next((n for n, step in enumerate(pipeline.steps) if corrupts(step.name)), None)
    if pipeline.mixings:
        reason = "mixes classes, and the targets are images; remove it"
        raise TransformError(len(pipeline.steps), "mixing", reason)
    if first is None:
        return replace(pipeline, targets="images")
    steps = list(pipeline.steps[:first])
    for step in pipeline.steps[first:]:
        is_corrupting = corrupts(step.name)
        if step.is_random and not is_corrupting:
            raise TransformError(step.position, step.name, after_corruption(steps[-1].name
                                 if len(steps) > first else step.name))  # fmt: skip
        pair = _Pair(step.transform, starts=step is pipeline.steps[first], corrupts=is_corrupting,
                     position=None if is_training else step.position)  # fmt: skip
        steps.append(replace(step, transform=pair, is_random=is_corrupting and is_training))
    return replace(pipeline, steps=tuple(steps), targets="pairs")


def after_corruption(before: str) -> str:
    """Why a random transform cannot stand after what corrupts."""
    return (
        "is random, so it would change the target differently than the input; "
        f"move it above '{before}'"
    )


class _Pair:
    """A transform of inputs and targets, `(N, 2 C, H, W)`.

    Args:
        transform: what is done to the inputs, and to the targets if it does not corrupt.
        starts: it is given images `(N, C, H, W)` that are both.
        corrupts: see above.
        position: in the list, if corruption follows from the image's position; else None.
    """

    def __init__(
        self, transform: Transform, *, starts: bool, corrupts: bool, position: int | None
    ) -> None:
        self._transform = transform
        self._starts = starts
        self._corrupts = corrupts
        self._position = position
        self.reads_shown = corrupts and position is not None

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """What is random is drawn from the generator."""
        inputs, targets = self._split(images)
        if not self._corrupts:
            targets = self._transform(targets, generator)
        return self._joined(self._transform(inputs, generator), targets)

    def shown(self, images: Tensor, shown: Showing) -> Tensor:
        """What is random follows from the seed and the image's position."""
        inputs, targets = self._split(images)
        generator = torch.Generator(images.device)
        done = []
        for number, position in enumerate(shown.positions.tolist()):
            seed = derive_seed(shown.seed, "corruption", self._position or 0, position)
            one = self._transform(inputs[number : number + 1], generator.manual_seed(seed))
            done.append(one)
        return self._joined(torch.cat(done) if done else inputs, targets)

    def output_size(self, size: HeightWidth) -> HeightWidth:
        """As the transform says."""
        return self._transform.output_size(size)

    def _split(self, images: Tensor) -> tuple[Tensor, Tensor]:
        if self._starts:
            return images.clone(), images  # a plugin may work in place
        inputs, targets = images.chunk(2, dim=1)
        return inputs, targets

    def _joined(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return torch.cat([unit(inputs), unit(targets)], dim=1)


class ImageTargets:
    """The batches of another loader, with images for targets, or behind those that are columns.

    Args:
        loader: of images `(N, C, H, W)`, or of inputs with their targets `(N, 2 C, H, W)`.
        pairs: whether it is the latter.
        memory_format: of the batches.
    """

    def __init__(self, loader: Loader, *, pairs: bool, memory_format: torch.memory_format) -> None:
        self.loader = loader
        self.size = loader.size
        self.batches_per_epoch = loader.batches_per_epoch
        self._pairs = pairs
        self._format = memory_format

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch; see `Loader`."""
        for images, columns in self.loader.batches(epoch, start=start):
            inputs = targets = images
            if self._pairs:
                both = images.chunk(2, dim=1)
                inputs, targets = (each.contiguous(memory_format=self._format) for each in both)
            if columns.ndim > 1:
                targets = torch.cat([columns.to(targets.dtype), targets.flatten(1)], dim=1)
            yield Batch(inputs, targets)

    def images_in(self, batch: int) -> int:
        """Images in a batch; see `Loader`."""
        return self.loader.images_in(batch)
