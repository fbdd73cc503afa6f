"""From a run file to the objects of the rooms below: the only translation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import nn

from cnntrain.assemble.needed_memory import image_memory_errors
from cnntrain.config.loaded import Loaded
from cnntrain.config.rules import unset_variables
from cnntrain.config.schema import ComputeSection, DataSection
from cnntrain.core.errors import CnntrainError, ConfigError, UsageError
from cnntrain.core.plugins import plugin_place
from cnntrain.core.problems import halves
from cnntrain.data.image_cache import ImageCache
from cnntrain.data.loaders import Data, open_data, worker_count
from cnntrain.data.on_disk import expanded
from cnntrain.data.read import EmptyClassError, FormError
from cnntrain.data.share import WHOLE, ShareOfBatch
from cnntrain.data.stream import worker_failure
from cnntrain.data.transform_errors import ListError
from cnntrain.train import choose_precision
from cnntrain.train.together import ALONE, Processes

EVAL_BATCH = 256
"""Images in a batch of evaluation where the run file does not say; larger is not faster."""


class Opened(Protocol):
    """Images that are open: all splits of a data set, or one of them."""

    def close(self) -> None:
        """End the worker processes, if there are any."""


def choose_device(
    compute: ComputeSection, loaded: Loaded, *, processes: Processes = ALONE
) -> torch.device:
    """The device that is meant; `auto` is a GPU where there is one.

    Of several processes on a machine each has a GPU of its own.

    Raises:
        ConfigError: the device is not there.
    """
    auto = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(auto if compute.device == "auto" else compute.device)
    remedy = "use `compute.device: auto`"
    missing, count = "", torch.cuda.device_count() if device.type == "cuda" else 0
    if device.type == "cuda" and count == 0:
        missing = "there is no CUDA GPU here"
    elif device.type == "cuda" and device.index is not None and device.index >= count:
        missing = f"there are only {count} GPUs here"
    elif device.type == "mps" and not torch.backends.mps.is_available():
        missing = "there is no Apple GPU here"
    elif not processes.is_alone and device.index is not None:
        missing = f"{processes.count} processes cannot all use {device}: each has a GPU of its own"
    elif not processes.is_alone and device.type == "mps":
        missing, remedy = "several processes cannot use an Apple GPU", "use `compute.device: cpu`"
    elif device.type == "cuda" and processes.count_here > count:
        missing = f"{processes.count_here} processes were started here, and there are {count} GPUs"
        remedy = f"start {count} (torchrun --nproc-per-node {count}), or use `compute.device: cpu`"
    if missing:
        raise loaded.error(("compute", "device"), missing, remedy)
    if device.type == "cuda" and not processes.is_alone:
        return torch.device("cuda", processes.index_here)
    return device


def refuse_without_gpu(loaded: Loaded, device: torch.device) -> None:
    """Refuse to train elsewhere with what only a CUDA GPU can do."""
    if loaded.config.compute.copy_ahead and device.type != "cuda":
        message = f"batches are copied ahead to a CUDA GPU, and training is on {device.type}"
        raise loaded.error(("compute", "copy_ahead"), message, "remove this")
    if loaded.config.compute.cuda_graphs and device.type != "cuda":
        message = f"CUDA graphs are of CUDA GPUs, and training is on {device.type}"
        raise loaded.error(("compute", "cuda_graphs"), message, "remove this")


def uses_channels_last(compute: ComputeSection, device: torch.device) -> bool:
    """Whether images are stored with the channels innermost; `auto` is where it is faster.

    Measured on CPUs: convolutions are 1.1 to 1.2 times as fast. On GPUs tensor cores want it so.
    """
    if compute.channels_last != "auto":
        return compute.channels_last
    return device.type == "cpu" or choose_precision(compute.precision, device) != "float32"


def place(net: nn.Module, *, compute: ComputeSection, device: torch.device) -> None:
    """Move a network to its device, in the layout of its images."""
    layout = uses_channels_last(compute, device)
    net.to(memory_format=torch.channels_last if layout else torch.contiguous_format)
    net.to(device)


def evaluation_batch(loaded: Loaded, *, processes: int = 1) -> int:
    """Images in a batch of evaluation, which one process has for itself."""
    data = loaded.config.data
    return data.eval_batch_size or max(EVAL_BATCH, data.batch // processes)


def open_run_data(
    loaded: Loaded,
    *,
    device: torch.device | str,
    eval_steps: Sequence[Mapping[str, Any]] | None = None,
    in_order: bool = False,
    share: ShareOfBatch = WHOLE,
) -> Data:
    """The run file's images, with loaders.

    Args:
        loaded: the run file.
        device: where batches are made.
        eval_steps: the preprocessing that a checkpoint holds, in place of the run file's; then the
            training images are prepared so, too.
        in_order: training images come in stored order, each once, as in evaluation.
        share: what of them this process reads.

    Raises:
        DataError: images are missing or unreadable.
        ConfigError: the `data` section cannot be obeyed, at its line.
    """
    config = loaded.config
    data = config.data
    train = [(call.name, call.parameters) for call in data.transforms.train]
    prepared = [(call.name, call.parameters) for call in data.transforms.eval]
    if eval_steps is not None:
        named = [
            (step["name"], {k: v for k, v in step.items() if k != "name"}) for step in eval_steps
        ]
        train = prepared = named
    with data_errors(loaded), image_memory_errors(loaded):
        return open_data(
            data.name,
            parameters=loaded.data_parameters,
            holdout=data.holdout(seed=config.seed),
            # an evaluation of the training images is to see each of them once
            sampling=data.images_per_class or data.sampling if eval_steps is None else "natural",
            train_transforms=train,
            eval_transforms=prepared,
            batch_size=data.batch,
            eval_batch_size=evaluation_batch(loaded, processes=share.count),
            drop_last=data.drop_last,
            seed=config.seed,
            device=device,
            channels_last=uses_channels_last(config.compute, torch.device(device)),
            workers=data.workers,
            memory=data.memory,
            in_order=in_order,
            # what is only evaluated is not resumed
            fingerprint=data.fingerprint if eval_steps is None else "off",
            decoder=data.decoder if eval_steps is None else "pillow",
            cache=_image_cache(data) if eval_steps is None else None,
            share=share,
            copies_ahead=config.compute.copy_ahead and torch.device(device).type == "cuda",
            form=config.task.wanted,
        )


def _image_cache(data: DataSection) -> ImageCache | None:
    if data.cache is None:
        return None
    folder = data.cache.folder
    return ImageCache(
        data.cache.short_side,
        None if folder is None else expanded(folder, key="data.cache.folder"),
    )


@contextmanager
def reading(data: Opened, loaded: Loaded) -> Iterator[None]:
    """While batches are read: a dead worker is reported as such; the workers end with the block.

    Raises:
        DataError: a reading process died; torch raises that in whatever is running at the moment.
    """
    try:
        yield
    except RuntimeError as error:
        compute, workers = loaded.config.compute, loaded.config.data.workers
        count = worker_count(workers, choose_device(compute, loaded))
        failure = worker_failure(error, workers=count)
        if failure is None:
            raise
        raise failure from error
    finally:
        data.close()


@contextmanager
def data_errors(loaded: Loaded) -> Iterator[None]:
    """What the data refuse, said at the line of the run file that asks for it."""
    if unset := [*unset_variables(loaded)]:
        raise ConfigError.of(unset)
    try:
        yield
    except CnntrainError:
        raise
    except ListError as error:
        path = ("data", "transforms", error.split, error.position)
        raise loaded.error(path, *halves(error, "correct it or move it")) from error
    except ValueError as error:
        section = ("data", "sampling") if isinstance(error, EmptyClassError) else ("data",)
        section = ("data", "name") if isinstance(error, FormError) else section
        raised = plugin_place(error)
        usual = f"see {raised.file}:{raised.line}" if raised else "change the `data` section"
        raise loaded.error(section, *halves(error, usual)) from error


def apply_threads(compute: ComputeSection) -> None:
    """Set the number of CPU threads, if the run file says one."""
    if compute.threads is not None:
        torch.set_num_threads(compute.threads)


def only_these(overrides: list[str], *, allowed: tuple[str, ...], doing: str) -> None:
    """Refuse `-s` for keys that cannot change any more.

    Raises:
        UsageError: with the keys that can.
    """
    for text in overrides:
        key = text.partition("=")[0].strip()
        if not any(key == name or key.startswith(f"{name}.") for name in allowed):
            raise UsageError(
                f"-s {key} cannot change when {doing}",
                remedy=f"only {', '.join(allowed)} can; for anything else start a new run",
            )
