"""What a run file asks for that several processes, or the slices of their batches, cannot do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn

from cnntrain.arch.network import Network
from cnntrain.arch.plan import Plan
from cnntrain.assemble.make_parts import make_task
from cnntrain.config.loaded import FINETUNE_AT, Loaded
from cnntrain.config.open_numbers import open_numbers
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Problem
from cnntrain.data.share import ShareOfBatch
from cnntrain.train.together import Processes

NORMS = (nn.modules.batchnorm._BatchNorm,)
SYNC_AT = ("compute", "sync_batch_norm")
_LARGER = "set a larger `data.batch_size`: such a layer needs two images or more"


def refuse_for_several(
    loaded: Loaded, plan: Plan, *, processes: Processes, device: torch.device
) -> None:
    """Refuse what several processes cannot do together; nothing is refused to one.

    Raises:
        ConfigError: all of it, each at its line.
    """
    if processes.is_alone:
        return
    problems = list(_problems(loaded, plan, processes, device))
    if problems:
        raise ConfigError.of(problems)


def _problems(
    loaded: Loaded, plan: Plan, processes: Processes, device: torch.device
) -> Iterator[Problem]:
    config, count = loaded.config, processes.count
    if config.data.batch < count:
        message = f"a batch of {config.data.batch} images is too small for {count} processes"
        yield loaded.problem(("data", "batch_size"), message, "raise it, or start fewer processes")
    for key in open_numbers(config):
        message = f"auto is found by one process, and {count} were started"
        remedy = "give a number; `cnntrain fit` in one process finds and notes one"
        yield loaded.problem(tuple(key.split(".")), message, remedy)
    if config.finetune is not None and config.finetune.probe:
        message = f"a probe computes its features in one process, and {count} were started"
        yield loaded.problem((*FINETUNE_AT, "probe"), message, "start it without torchrun")
    if config.pretrain is not None:
        message = f"stages of pre-training are for one process, and {count} were started"
        yield loaded.problem(("pretrain",), message, "start it without torchrun")
    if config.compute.cuda_graphs:
        message = f"CUDA graphs are for one process, and {count} were started"
        yield loaded.problem(("compute", "cuda_graphs"), message, "remove this")
    sums = make_task(loaded, plan=plan).sums(torch.zeros(1, *plan.body.out_shape))
    every = (sums, *getattr(sums, "parts", {}).values())
    if not hasattr(sums, "gather") and not all(hasattr(each, "add_up") for each in every):
        message = f"the task '{config.task.name}' cannot be evaluated by {count} processes"
        remedy = "start it without torchrun, or give its sums the method `add_up` (docs/plugins.md)"
        yield loaded.problem(("task",), message, remedy)
    if not config.compute.sync_batch_norm:
        return
    if device.type != "cuda":
        message = (
            f"torch's SyncBatchNorm works on CUDA GPUs only, and {count} processes use {device}"
        )
        yield loaded.problem(SYNC_AT, message, "remove it: each process normalises its own slice")
    if loaded.train.accumulate > 1:
        message = f"the parts of a batch ({loaded.at('train', 'accumulate')}) are normalised apart"
        yield loaded.problem(SYNC_AT, message, "remove one of the two")


def refuse_small_batches(
    loaded: Loaded, plan: Plan, net: Network, *, images: int, share: ShareOfBatch
) -> None:
    """Batch normalisation has no variance over one image with one value per channel.

    Over the maps of one image it has: only layers whose input is flat, or 1 x 1, are in the way.
    Over the batch of all processes it has one, but each of them needs an image.

    Args:
        loaded: the run file.
        plan: of the network.
        net: the network.
        images: for training.
        share: of each batch, that is of the processes that cut it.

    Raises:
        ConfigError: a batch, or a part of one, is such an image.
    """
    _refuse_empty_slices(loaded, images=images, share=share)
    size = _size_with_single_image(loaded, images, share)
    narrow = [
        name
        for name, node in plan.walk()
        if isinstance(norm := net.get_submodule(name), NORMS)
        and math.prod(node.in_shapes[0][1:]) == 1
        and not getattr(norm, "frozen", False)
    ]
    if size is None or not narrow:
        return
    whole = f"a batch of {size} of the {images} training images"
    message = f"{whole} is a single image" if size == 1 else f"{whole} has a part of a single image"
    message += f", over which the batch normalisation '{narrow[0]}' has no variance"
    is_last = size < min(loaded.config.data.batch, images)
    remedy = "set `data.drop_last: true`, or another batch_size" if is_last else _LARGER
    if size > 1 and loaded.train.accumulate > 1:
        remedy += f", or lower train.accumulate ({loaded.train.accumulate})"
    if size > 1 and share.count > 1:
        remedy += f", or start fewer processes ({share.count})"
    raise loaded.error(("data", "batch_size"), message, remedy)


def _refuse_empty_slices(loaded: Loaded, *, images: int, share: ShareOfBatch) -> None:
    if share.count == 1 or not loaded.config.compute.sync_batch_norm:
        return
    last = 0 if loaded.config.data.drop_last else images % loaded.config.data.batch
    sizes = [min(images, loaded.config.data.batch), *([last] if last else [])]
    for size in sizes:
        if not replace(share, index=share.count - 1).counted(size):
            message = f"a batch of {size} images leaves some of {share.count} processes without one"
            remedy = "set `data.drop_last: true`, or remove compute.sync_batch_norm"
            raise loaded.error(("data", "batch_size"), message, remedy)


def _size_with_single_image(loaded: Loaded, images: int, share: ShareOfBatch) -> int | None:
    """The smallest batch that is a single image, or has a part of one, if there is any.

    Slices and parts are cut as torch's `chunk` cuts: all but the last have as many images.
    """
    section, parts = loaded.config.data, loaded.train.accumulate
    sizes = [min(section.batch, images)]
    sizes += [] if section.drop_last else [images % section.batch]
    single = [size for size in sizes if size and _has_single(size, parts, share)]
    return min(single, default=None)


def _has_single(size: int, parts: int, share: ShareOfBatch) -> bool:
    slice_ = -(-size // share.count)
    slices = {slice_, size % slice_} - {0}
    return any((each - 1) % math.ceil(each / parts) == 0 for each in slices)


def with_synchronised_norms(net: nn.Module, loaded: Loaded, *, processes: Processes) -> nn.Module:
    """The network whose batch normalisations see the batches of all processes, if asked for."""
    if processes.is_alone or not loaded.config.compute.sync_batch_norm:
        return net
    synchronised: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(net)  # type: ignore[no-untyped-call]  # torch's gap
    return synchronised


def has_running_statistics(net: nn.Module) -> bool:
    """Whether some batch normalisation keeps statistics, and is not frozen."""
    norms = [each for each in net.modules() if isinstance(each, NORMS)]
    return any(each.track_running_stats and not getattr(each, "frozen", False) for each in norms)
