"""From plain keywords to loaders: the door of this room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch

from cnntrain.core.cores import core_count
from cnntrain.core.errors import DataError
from cnntrain.core.kinds import Decoder
from cnntrain.core.target_forms import Wanted
from cnntrain.data.batch import Batching, Loader
from cnntrain.data.faster import idle, read_faster
from cnntrain.data.fingerprint import Fingerprint, take_fingerprint
from cnntrain.data.image_cache import ImageCache
from cnntrain.data.image_targets import ImageTargets, pipeline_for, with_targets
from cnntrain.data.left_out import LeftOut, summaries
from cnntrain.data.metadata import AS_IT_IS, Holdout
from cnntrain.data.mixing import MixedLoader, reach
from cnntrain.data.pipeline import Pipeline
from cnntrain.data.read import class_counts, open_splits, refuse_sampling
from cnntrain.data.resident import ResidentLoader, read_pixels
from cnntrain.data.resident_limit import resident_bytes
from cnntrain.data.share import WHOLE, ShareOfBatch
from cnntrain.data.splits import Division, Files, Part, Pixels, Splits
from cnntrain.data.statistics import Items, PlainPipeline, shallow, with_statistics
from cnntrain.data.stream import StreamLoader
from cnntrain.data.transform_errors import TransformError, in_list
from cnntrain.data.windows import HeightWidth, Sizing
from cnntrain.show.pixels import Scaling
from cnntrain.tasks.targets import Targets, with_scaling

LARGE = 256 * 256
"""Pixels of an image above which a CPU decodes it again rather than resize it as a batch."""

Memory = Literal["auto", "resident", "stream"]
Workers = int | Literal["auto"]
Sampling = Literal["natural", "balanced"] | int


@dataclass(frozen=True)
class Data:
    """A data set, opened.

    Args:
        classes: the class names, or the names of numbers or labels; see `Splits`.
        train: shuffled and augmented batches.
        validation: in stored order; None when there is no such split.
        test: in stored order; None when there is no such split.
        statistics: mean and std that `normalize` uses; None when nothing normalises.
        counts: images per class, or with each label, of each split.
        train_pipeline: the training transforms as plain data, all parameters resolved.
        eval_pipeline: the evaluation transforms as plain data, for the checkpoint.
        notes: what the user should know, one sentence each.
        left_out: files that are not used.
        fingerprint: which data these are; see `cnntrain.data.fingerprint`.
        division: how images were held out; None where they were not.
        targets: what the images are learnt with.
    """

    classes: tuple[str, ...]
    train: Loader
    validation: Loader | None
    test: Loader | None
    statistics: Scaling | None
    counts: dict[str, tuple[int, ...]]
    train_pipeline: PlainPipeline
    eval_pipeline: PlainPipeline
    notes: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()
    fingerprint: Mapping[str, Any] = field(default_factory=dict)
    division: Division | None = None
    targets: Targets = field(default_factory=Targets)

    def close(self) -> None:
        """End the worker processes, if there are any."""
        for loader in (unmixed(self.train), self.validation, self.test):
            if isinstance(loader, StreamLoader):
                loader.close()


def unmixed(loader: Loader) -> Loader:
    """The loader that makes the batches, where another one changes them or their targets."""
    return loader.loader if isinstance(loader, MixedLoader | ImageTargets) else loader


def open_data(  # noqa: PLR0913  # one keyword for each key of the run file's `data` section
    name: str,
    *,
    parameters: Mapping[str, Any] | None = None,
    holdout: Holdout = AS_IT_IS,
    sampling: Sampling = "natural",
    train_transforms: Items = (("normalize", {}),),
    eval_transforms: Items = (("normalize", {}),),
    batch_size: int = 64,
    eval_batch_size: int | None = None,
    drop_last: bool = False,
    seed: int = 0,
    device: torch.device | str = "cpu",
    channels_last: bool = False,
    workers: Workers = "auto",
    memory: Memory = "auto",
    in_order: bool = False,
    fingerprint: Fingerprint = "off",
    decoder: Decoder = "pillow",
    cache: ImageCache | None = None,
    share: ShareOfBatch = WHOLE,
    copies_ahead: bool = False,
    form: Wanted | None = None,
) -> Data:
    """Open a data set and make its loaders.

    Args:
        name: a registered data set.
        parameters: its own parameters.
        holdout: which of the training images are validation and test images.
        sampling: `natural` shows each training image once in an epoch, a number so many of a class
            together; `balanced` draws as many images, so that all classes are equally frequent.
        train_transforms: names and parameters, in order.
        eval_transforms: names and parameters, in order; nothing random.
        batch_size: images in a training batch.
        eval_batch_size: images in an evaluation batch; as `batch_size` where not given.
        drop_last: leave out a last training batch that is smaller.
        seed: of the order and the augmentation.
        device: where batches are.
        channels_last: their memory format.
        workers: processes that read files; `auto` decides by device and cores.
        memory: `resident` keeps the decoded images on the device, `stream` reads them when they
            are needed, `auto` is resident for what fits.
        in_order: training images come in stored order, each once, in batches of evaluation.
        fingerprint: what is noted of the data, for a resume to compare.
        decoder: of JPEGs in shuffled batches that are read when they are needed.
        cache: keeps images decoded on the disk: the training images, and those of evaluation
            where that changes no pixel.
        share: what of each training batch is read here; evaluation batches are taken in turns.
        copies_ahead: batches that are read are copied to a GPU on a stream of their own.
        form: of the targets that are wanted; None: whatever there is.

    Raises:
        DataError: files are missing, unreadable or do not fit together.
        ListError: a transform cannot be obeyed.
        FormError: the images have targets of another form.
        EmptyClassError: a class has no training image to be drawn as often as others.
        ValueError: images cannot be held out as asked.
    """
    splits = open_splits(name, parameters=parameters or {}, holdout=holdout, form=form)
    counts = class_counts(splits)
    refuse_sampling(sampling, splits, counts["train"], batch_size=batch_size)
    lists = {"train": train_transforms, "eval": eval_transforms}
    scaling, plain = with_statistics(lists, splits.whole_train or splits.train)
    pipelines = make_pipelines(plain, form=form or splits.form)
    wide = replace(share, before=reach(pipelines["train"].mixings))
    how = Batching(batch_size, True, drop_last, seed, torch.device(device), channels_last,
                   balanced=sampling == "balanced", share=wide, copies_ahead=copies_ahead,
                   together=sampling if isinstance(sampling, int) else 0)  # fmt: skip
    how_eval = replace(how, batch_size=eval_batch_size or batch_size, shuffle=False,
                       drop_last=False, share=replace(share, in_turns=True))  # fmt: skip
    if how.count(len(splits.train)) == 0:
        few = f"{len(splits.train)} training images are fewer than batch_size {batch_size}"
        raise ValueError(f"drop_last leaves no batch: {few}")
    for key, pipeline in pipelines.items():
        _try(splits.train, pipeline, key)
    batchings = {"train": how_eval if in_order else how, "eval": how_eval}
    ready = read_faster(splits, pipelines["eval"], decoder=decoder, cache=cache, data=name)
    made = _loaders(ready, pipelines, batchings, memory=memory, workers=workers)
    unused = idle(decoder, is_resident=isinstance(unmixed(made["train"]), ResidentLoader))
    return Data(
        classes=splits.classes,
        train=made["train"],
        validation=made.get("validation"),
        test=made.get("test"),
        statistics=scaling,
        counts=counts,
        train_pipeline=plain["train"],
        eval_pipeline=plain["eval"],
        notes=(*splits.notes, *summaries(splits.left_out), *shallow(splits.train), *unused),
        left_out=splits.left_out,
        fingerprint=take_fingerprint(splits, fingerprint),
        division=splits.division,
        targets=with_scaling(splits.targets, scaling, channels=splits.train.channels),
    )


def _loaders(
    splits: Splits,
    pipelines: Mapping[str, Pipeline],
    batchings: Mapping[str, Batching],
    *,
    memory: Memory,
    workers: Workers,
) -> dict[str, Loader]:
    """A loader for each split that there is."""
    made: dict[str, Loader] = {}
    for split, part in splits.parts.items():
        key = "train" if split == "train" else "eval"
        with in_list(key):
            made[split] = make_loader(part, pipelines[key], name=split, memory=memory,
                                      workers=workers, batching=batchings[key])  # fmt: skip
    if mixings := pipelines["train"].mixings:
        how = batchings["train"]
        made["train"] = MixedLoader(made["train"], mixings=mixings, seed=how.seed,
                                    num_classes=len(splits.classes), share=how.share)  # fmt: skip
    return made


def worker_count(workers: Workers, device: torch.device, *, on_machine: int = 1) -> int:
    """Reading processes of one that trains: beside a GPU nearly all its cores, on a CPU few."""
    if workers != "auto":
        return workers
    cores = core_count() // on_machine
    return cores // 4 if device.type == "cpu" else max(1, min(16, cores - 1))


def make_pipelines(
    plain: Mapping[str, PlainPipeline], *, form: Wanted = "classes"
) -> dict[str, Pipeline]:
    """The pipelines of the lists `train` and `eval`, for targets of a form.

    Raises:
        ListError: a transform refuses its parameters or its place.
    """
    made: dict[str, Pipeline] = {}
    for key, items in plain.items():
        with in_list(key):
            made[key] = pipeline_for(form, items, is_training=key == "train")
    return made


def _try(train: Part, pipeline: Pipeline, key: str) -> None:
    """Transform two black images, so that every refusal is met now."""
    stored = train.size_of(0)
    with in_list(key):
        height, width = pipeline.output_size(stored)
        head, tail = pipeline.divide(random_in_worker=True)
        black = torch.zeros(2, train.channels, *head.output_size(stored), dtype=torch.uint8)
        rows, columns = tail(black, torch.Generator()).shape[2:]
    if (rows, columns) != (height, width):  # a transform of the user's own
        raise ValueError(
            f"the transforms for {key} give images of {rows} x {columns}, but "
            f"their output_size says {height} x {width}"
        )


def make_loader(
    part: Part,
    pipeline: Pipeline,
    *,
    name: str,
    memory: Memory,
    workers: Workers,
    batching: Batching,
) -> Loader:
    """The loader that suits a split, which messages call by its name.

    Raises:
        DataError: images that are to be kept in memory are unreadable, or of different sizes.
        TransformError: a transform is impossible on one of them.
    """
    head, tail = pipeline.divide(random_in_worker=False)
    if memory == "resident" or (
        memory == "auto"
        and (isinstance(part, Pixels) or _fits_memory(part, head, tail, batching.device))
    ):
        pixels = read_pixels(part, head, name=name)
        made: Loader = ResidentLoader(pixels, pipeline=tail, batching=batching)
    else:
        count = worker_count(workers, batching.device, on_machine=batching.share.on_machine)
        made = StreamLoader(part, name=name, pipeline=pipeline, batching=batching, workers=count)
    return with_targets(made, pipeline.targets, memory_format=batching.memory_format)


def _fits_memory(part: Files, head: Pipeline, tail: Pipeline, device: torch.device) -> bool:
    """Whether files are within the budget and of one size, and not read faster than they are cut.

    On the device a batch of windows is resized by matrix products over whole images. That is
    nothing for a GPU, but on a CPU, for large images, it takes longer than Pillow takes for all.
    """
    size = _fixed_size(part, head)
    if size is None or len(part) * part.channels * size[0] * size[1] > resident_bytes(device):
        return False
    first = tail.steps[0].transform if tail.steps else None
    if device.type != "cpu" or size[0] * size[1] <= LARGE or not isinstance(first, Sizing):
        return True
    return not first.windows(size, count=1, generator=torch.Generator().manual_seed(0)).scaled


def _fixed_size(part: Files, head: Pipeline) -> HeightWidth | None:
    try:
        if size := head.fixed_size():
            return size
        sizes = (head.output_size(part.size_of(index)) for index in range(len(part)))
        first = next(sizes)
        return first if all(size == first for size in sizes) else None
    except (TransformError, DataError):
        return None  # the stream meets the same file and reports it
