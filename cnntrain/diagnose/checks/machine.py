"""Check `machine`: is the processor at work, and how could it do more?"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from time import perf_counter

import torch
from torch import nn

from cnntrain.data.batch import Batch, Loader
from cnntrain.diagnose import check
from cnntrain.diagnose.report import Finding, Report, Table
from cnntrain.train.briefly import Method, train_briefly
from cnntrain.train.evaluation import training_mode
from cnntrain.train.precision import Precision

WAITING = 0.5
"""Share of the time spent waiting for images, from which on it is worth a word."""

FASTER = 1.3
"""Times the speed, from which on another precision is worth a word."""

FULL, IDLE = 0.9, 0.5
"""Share of the GPU's memory in use, and of the largest batch's speed that is reached."""

WARM_UP, STEPS = 2, 4
"""Steps of a measurement."""

SECONDS = 5.0
"""For the search of a batch size, about."""


@dataclass(frozen=True)
class Speed:
    """Images per second at a batch size; None where memory did not suffice."""

    batch_size: int
    images_per_second: float | None
    memory: int | None


@check("machine", place=11)
def check_machine(
    *, net: nn.Module, loader: Loader, method: Method, step_images: int, data_cure: str
) -> Report:
    """Time the run's own loader and its steps, and other batch sizes.

    Args:
        net: the network; copies of it are trained.
        loader: the run's, of the training images.
        method: how the run trains.
        step_images: in a batch: the run's, or fewer.
        data_cure: what to do in this run if training waits for its images.
    """
    began = perf_counter()
    batches = list(islice(loader.batches(1), WARM_UP + STEPS))
    first = perf_counter()
    list(islice(loader.batches(2), len(batches)))
    reading = (perf_counter() - first) / max(1, sum(len(b.targets) for b in batches))
    speeds = _search(net, batches, method=method, batch_size=step_images, began=began)
    own = next(speed for speed in speeds if speed.batch_size == step_images)
    fastest = max(speeds, key=lambda speed: speed.images_per_second or 0.0)
    best = fastest if fastest.images_per_second else None
    # workers read while the device trains, so only what reading takes longer is waited for
    trained = own.images_per_second
    waits = 0.0 if trained is None else max(0.0, 1 - 1 / (trained * reading))
    findings = (*_waiting(waits, data_cure), *_memory(own, best))
    other: Precision = "bfloat16" if method.precision == "float32" else "float32"
    changed = _speed(
        net, batches, method=replace(method, precision=other), size=step_images
    ).images_per_second
    gain = changed / trained if changed is not None and trained is not None else 0.0
    rows = tuple(
        (s.batch_size, s.images_per_second, None if s.memory is None else s.memory / 2**20)
        for s in speeds
    )
    headline = (
        f"{1 / reading:,.0f} images per second are read"
        + (f", {trained:,.0f} trained on" if trained is not None else "")
        + (f"; fastest with batches of {best.batch_size}" if best is not None else "")
        + (f"; {gain:.1f} times as fast with compute.precision: {other}" if gain > FASTER else "")
    )
    return Report(
        "machine",
        findings[0].headline if findings else headline,
        findings,
        numbers={
            "read_per_second": 1 / reading,
            "trained_per_second": trained,
            "waiting": waits,
            f"trained_per_second_in_{other}": changed,
            "best_batch_size": None if best is None else best.batch_size,
        },
        tables=(Table("speed by batch size", ("batch", "images per second", "MiB"), rows),),
    )


def _search(
    net: nn.Module, batches: Sequence[Batch], *, method: Method, batch_size: int, began: float
) -> list[Speed]:
    """The run's batch size first, then doubled ones, then halved ones, while there is time."""
    speeds = [_speed(net, batches, method=method, size=batch_size)]
    for factor in (2.0, 0.5):
        size = int(batch_size * factor)
        while 4 <= size <= 8192 and perf_counter() - began < SECONDS:
            speeds.append(_speed(net, batches, method=method, size=size))
            if speeds[-1].images_per_second is None:
                break
            size = int(size * factor)
    return sorted(speeds, key=lambda speed: speed.batch_size)


def _speed(net: nn.Module, batches: Sequence[Batch], *, method: Method, size: int) -> Speed:
    repeat = -(-size // sum(len(batch.targets) for batch in batches))
    images, targets = zip(*batches, strict=True)
    batch = Batch(torch.cat(images * repeat)[:size], torch.cat(targets * repeat)[:size])
    device = batch.images.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        trained = copy.deepcopy(net)
        training_mode(trained)
        train_briefly(trained, [batch], method=method, steps=WARM_UP, rate=lambda _: 0.0)
        began = perf_counter()
        train_briefly(trained, [batch], method=method, steps=STEPS, rate=lambda _: 0.0)
        seconds = perf_counter() - began
    except torch.OutOfMemoryError:
        return Speed(size, None, None)
    used = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return Speed(size, STEPS * size / seconds, used)


def _waiting(waits: float, cure: str) -> Iterator[Finding]:
    if waits >= WAITING:
        yield Finding(
            "waits_for_data",
            f"training would wait for its images {waits:.0%} of the time",
            "reading and preparing them alone takes longer than training on them",
            cure,
            is_certain=False,
        )


def _memory(own: Speed, best: Speed | None) -> Iterator[Finding]:
    """A GPU whose memory is full while a smaller batch would keep it as busy, or busier."""
    if own.memory is None or own.images_per_second is None or best is None:
        return
    total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
    reached = own.images_per_second / (best.images_per_second or own.images_per_second)
    if own.memory >= FULL * total and reached <= IDLE:
        yield Finding(
            "memory_full",
            f"memory is {own.memory / total:.0%} full, at {reached:.0%} of the speed of batches "
            f"of {best.batch_size}",
            f"{own.images_per_second:,.0f} images per second",
            f"set data.batch_size: {best.batch_size}",
            is_certain=False,
        )
