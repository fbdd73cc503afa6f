"""From plain keywords to loaders: the door of this room."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from cnntrain.data.batch import Batching, Loader
from cnntrain.data.decode import header_size
from cnntrain.data.memory import Memory, make_loader
from cnntrain.data.metadata import HeldOut
from cnntrain.data.mixing import MixedLoader
from cnntrain.data.pipeline import Pipeline, TransformError, build_eval_pipeline, build_pipeline
from cnntrain.data.read import class_counts, open_splits
from cnntrain.data.splits import Part, Pixels, Splits, Unreadable
from cnntrain.data.statistics import statistics
from cnntrain.data.stream import StreamLoader
from cnntrain.data.windows import HeightWidth
from cnntrain.show.pixels import Scaling

Items = Sequence[tuple[str, Mapping[str, Any]]]
PlainPipeline = tuple[dict[str, Any], ...]
Sampling = Literal["natural", "balanced"]


@dataclass(frozen=True)
class Data:
    """A data set, opened.

    Args:
        classes: the class names; targets are positions in it.
        train: shuffled and augmented batches.
        validation: in stored order; None when there is no such split.
        test: in stored order; None when there is no such split.
        statistics: mean and std that `normalize` uses; None when nothing normalises.
        image_channels: channels of every image.
        image_size: (height, width) that the network sees in evaluation.
        train_size: (height, width) that it sees in training.
        counts: images per class of each split.
        train_pipeline: the training transforms as plain data, all parameters resolved.
        eval_pipeline: the evaluation transforms as plain data, for the checkpoint.
        notes: what the user should know, one sentence each.
        skipped: image files that were left out because they cannot be read.
    """

    classes: tuple[str, ...]
    train: Loader
    validation: Loader | None
    test: Loader | None
    statistics: Scaling | None
    image_channels: int
    image_size: HeightWidth
    train_size: HeightWidth
    counts: dict[str, tuple[int, ...]]
    train_pipeline: PlainPipeline
    eval_pipeline: PlainPipeline
    notes: tuple[str, ...]
    skipped: tuple[Unreadable, ...]

    def close(self) -> None:
        """End the worker processes, if there are any."""
        for loader in (unmixed(self.train), self.validation, self.test):
            if isinstance(loader, StreamLoader):
                loader.close()


def unmixed(loader: Loader) -> Loader:
    """The loader that makes the batches, where another one mixes them."""
    return loader.loader if isinstance(loader, MixedLoader) else loader


class EmptyClassError(ValueError):
    """Classes cannot be drawn equally often, for one has no training image."""


class ListError(ValueError):
    """A transform list cannot be obeyed.

    Args:
        split: `train` or `eval`: the list.
        position: of the transform, counted from 0.
        name: of the transform.
        reason: why.
    """

    def __init__(self, split: str, position: int, name: str, reason: str) -> None:
        super().__init__(f"{name} in the transforms for {split}: {reason}")
        self.split = split
        self.position = position
        self.name = name
        self.reason = reason


def open_data(  # noqa: PLR0913  # one keyword for each key of the run file's `data` section
    name: str,
    *,
    parameters: Mapping[str, Any] | None = None,
    validation: HeldOut = None,
    sampling: Sampling = "natural",
    train_transforms: Items = (("normalize", {}),),
    eval_transforms: Items = (("normalize", {}),),
    batch_size: int = 64,
    eval_batch_size: int | None = None,
    drop_last: bool = False,
    seed: int = 0,
    device: torch.device | str = "cpu",
    channels_last: bool = False,
    workers: int | Literal["auto"] = "auto",
    memory: Memory = "auto",
    in_order: bool = False,
) -> Data:
    """Open a data set and make its loaders.

    Args:
        name: a registered data set.
        parameters: its own parameters.
        validation: split this fraction (below 1), count or fold of training images off, stratified.
        sampling: `natural` shows each training image once in an epoch; `balanced` draws as many
            images, so that all classes are equally frequent.
        train_transforms: names and parameters, in order.
        eval_transforms: names and parameters, in order; nothing random.
        batch_size: images in a training batch.
        eval_batch_size: images in an evaluation batch; as `batch_size` where not given.
        drop_last: leave out a last training batch that is smaller.
        seed: of the split, the order and the augmentation.
        device: where batches are.
        channels_last: their memory format.
        workers: processes that read files; `auto` decides by device and cores.
        memory: `resident` keeps the decoded images on the device, `stream` reads them when they
            are needed, `auto` is resident for what fits.
        in_order: training images come in stored order, each once, in batches of evaluation.

    Raises:
        DataError: files are missing, unreadable or do not fit together.
        ListError: a transform cannot be obeyed.
        EmptyClassError: a class has no training image to be drawn as often as others.
        ValueError: the validation split cannot be made.
    """
    splits = open_splits(name, parameters=parameters or {}, validation=validation, seed=seed)
    if sampling == "balanced":
        _refuse_empty_class(splits)
    lists = {"train": train_transforms, "eval": eval_transforms}
    found, plain = _resolve(splits.train, lists)
    pipelines = make_pipelines(plain)
    how = Batching(batch_size, True, drop_last, seed, torch.device(device), channels_last,
                   balanced=sampling == "balanced")  # fmt: skip
    how_eval = replace(
        how, batch_size=eval_batch_size or batch_size, shuffle=False, drop_last=False
    )
    if how.count(len(splits.train)) == 0:
        raise ValueError(
            f"drop_last leaves no batch: {len(splits.train)} training images are fewer than "
            f"batch_size {batch_size}"
        )
    sizes = {key: _image_size(splits.train, pipeline, key) for key, pipeline in pipelines.items()}
    batchings = {"train": how_eval if in_order else how, "eval": how_eval}
    made = _loaders(splits, pipelines, batchings, memory=memory,
                    workers=worker_count(workers, how.device))  # fmt: skip
    return Data(
        classes=splits.classes,
        train=made["train"],
        validation=made.get("validation"),
        test=made.get("test"),
        statistics=found,
        image_channels=splits.train.channels,
        image_size=sizes["eval"],
        train_size=sizes["train"],
        counts=class_counts(splits),
        train_pipeline=plain["train"],
        eval_pipeline=plain["eval"],
        notes=splits.notes,
        skipped=splits.skipped,
    )


def _loaders(
    splits: Splits,
    pipelines: Mapping[str, Pipeline],
    batchings: Mapping[str, Batching],
    *,
    memory: Memory,
    workers: int,
) -> dict[str, Loader]:
    """A loader for each split that there is."""
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    made: dict[str, Loader] = {}
    for split, part in parts.items():
        key = "train" if split == "train" else "eval"
        if part is None:
            continue
        try:
            made[split] = make_loader(part, pipelines[key], name=split, memory=memory,
                                  workers=workers, batching=batchings[key])  # fmt: skip
        except TransformError as error:
            raise ListError(key, error.position, error.name, error.reason) from error
    if mixings := pipelines["train"].mixings:
        made["train"] = MixedLoader(made["train"], mixings=mixings, seed=batchings["train"].seed,
                                    num_classes=len(splits.classes))  # fmt: skip
    return made


def _refuse_empty_class(splits: Splits) -> None:
    counts = class_counts(splits)["train"]
    if 0 in counts:
        empty = splits.classes[counts.index(0)]
        raise EmptyClassError(
            f"class '{empty}' has no training image, so it cannot be drawn as often as the others; "
            "add images of it, or leave it out of the classes"
        )


def worker_count(workers: int | Literal["auto"], device: torch.device) -> int:
    """Reading processes: beside a GPU nearly all cores, beside a CPU that trains itself few."""
    if workers != "auto":
        return workers
    cores = core_count()
    return cores // 4 if device.type == "cpu" else max(1, min(16, cores - 1))


def core_count() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _resolve(
    train: Part, lists: Mapping[str, Items]
) -> tuple[Scaling | None, dict[str, PlainPipeline]]:
    """The lists as plain data; `normalize` without numbers gets those of the training images."""
    found: Scaling | None = None
    plain: dict[str, PlainPipeline] = {}
    for key, items in lists.items():
        steps = []
        for name, parameters in items:
            step = {"name": name, **parameters}
            if name == "normalize":
                if step.get("mean") is None and step.get("std") is None:
                    found = found or statistics(train)
                    step.update(mean=found.mean, std=found.std)
                elif step.get("mean") is not None and step.get("std") is not None:
                    found = found or Scaling(tuple(step["mean"]), tuple(step["std"]))
            steps.append({k: list(v) if isinstance(v, tuple) else v for k, v in step.items()})
        plain[key] = tuple(steps)
    return found, plain


def make_pipelines(plain: Mapping[str, PlainPipeline]) -> dict[str, Pipeline]:
    """The pipelines of the lists `train` and `eval`.

    Raises:
        ListError: a transform refuses its parameters or its place.
    """
    made: dict[str, Pipeline] = {}
    for key, items in plain.items():
        try:
            made[key] = build_pipeline(items) if key == "train" else build_eval_pipeline(items)
        except TransformError as error:
            raise ListError(key, error.position, error.name, error.reason) from error
    return made


def _image_size(train: Part, pipeline: Pipeline, key: str) -> HeightWidth:
    """The size that comes out; tried on two black images, so that every refusal is met now."""
    stored = train.size if isinstance(train, Pixels) else header_size(train.paths[0])
    try:
        size = pipeline.output_size(stored)
        head, tail = pipeline.divide(random_in_worker=True)
        black = torch.zeros(2, train.channels, *head.output_size(stored), dtype=torch.uint8)
        result = tail(black, torch.Generator())
    except TransformError as error:
        raise ListError(key, error.position, error.name, error.reason) from error
    if tuple(result.shape[2:]) != size:  # a transform of the user's own
        raise ValueError(
            f"the transforms for {key} give images of {result.shape[2]} x {result.shape[3]}, but "
            f"their output_size says {size[0]} x {size[1]}"
        )
    return size
