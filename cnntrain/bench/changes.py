"""Settings of the run file whose effect is measured: one change of a key each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import torch

from cnntrain.assemble.prepare import Prepared
from cnntrain.assemble.translation import uses_channels_last
from cnntrain.config.loaded import Loaded
from cnntrain.config.resolved import in_line
from cnntrain.core.cores import core_count
from cnntrain.core.errors import UsageError
from cnntrain.data.loaders import unmixed, worker_count
from cnntrain.data.stream import StreamLoader
from cnntrain.train.precision import Precision

PRECISION, LAYOUT, COMPILE = "compute.precision", "compute.channels_last", "compute.compile"
BATCH, WORKERS, DECODER = "data.batch_size", "data.workers", "data.decoder"
FAST = "simplejpeg"
"""A decoder, and the package that it is in."""


@dataclass(frozen=True)
class Change:
    """A key of the run file, dotted, and another value for it."""

    key: str
    value: Any

    def __str__(self) -> str:
        return f"{self.key}={in_line(self.value)}"

    def of(self, loaded: Loaded) -> Loaded:
        """The run file with it."""
        section, name = self.key.split(".")
        changed = getattr(loaded.config, section).model_copy(update={name: self.value})
        return replace(loaded, config=loaded.config.model_copy(update={section: changed}))


def of_the_network(prepared: Prepared, *, loaded: Loaded, compiles: bool) -> Iterator[Change]:
    """Those that change a step: precision, layout, batch size and, if asked for, compilation.

    Args:
        prepared: with batches of the size that is timed.
        loaded: the run file as it is.
        compiles: whether compilation is asked for.
    """
    config, device = loaded.config, prepared.device
    on_gpu = device.type == "cuda"
    precision, timed = prepared.learner.precision, prepared.loaded.config.data.batch
    others: tuple[Precision, ...] = ("float32", "bfloat16", *(("float16",) if on_gpu else ()))
    yield from (Change(PRECISION, other) for other in others if other != precision)
    yield Change(LAYOUT, not uses_channels_last(config.compute, device))
    if compiles and not config.compute.compile:
        yield Change(COMPILE, True)
    own = config.data.batch
    least, most = max(2, loaded.train.accumulate), min(4 * timed, prepared.data.train.size)
    sizes = (own // 2, own * 2, own * 4)
    yield from (Change(BATCH, size) for size in sizes if least <= size <= most)


def of_the_loader(prepared: Prepared) -> Iterator[Change]:
    """Another decoder and other numbers of processes, where images are read while training."""
    if not isinstance(unmixed(prepared.data.train), StreamLoader):
        return
    section = prepared.loaded.config.data
    if section.decoder != FAST and section.cache is None and find_spec(FAST) is not None:
        yield Change(DECODER, FAST)
    own, cores = workers_of(prepared), core_count()
    for count in sorted({0, 1, cores // 2, cores} - {own}):
        yield Change(WORKERS, count)


def workers_of(prepared: Prepared) -> int:
    """The reading processes of the run as it is."""
    return worker_count(prepared.loaded.config.data.workers, prepared.device)


def layout_of(change: Change) -> torch.memory_format:
    """torch's name for what a change of the layout asks for."""
    return torch.channels_last if change.value else torch.contiguous_format


def refuse_probe(loaded: Loaded) -> None:
    """Refuse a probe, which trains one layer on features that are computed once.

    Raises:
        UsageError: it is one.
    """
    finetune = loaded.config.finetune
    if finetune is not None and finetune.probe:
        message = "this run trains one layer on features: nothing in it is slow enough to measure"
        raise UsageError(message, remedy="leave finetune.probe out with -s finetune.probe=false")
