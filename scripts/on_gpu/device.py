"""The device that is checked: a GPU or, in a rehearsal, the CPU in its place."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from cnntrain.train import Precision


def finish(device: torch.device) -> None:
    """Wait until all that was asked for is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def no_waiting(device: torch.device) -> Iterator[None]:
    """An operation that makes the host wait for the GPU is an error."""
    if device.type != "cuda":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def timed(work: Callable[[], object], *, device: torch.device) -> float:
    """Seconds that it takes, on the host and on the device."""
    finish(device)
    began = time.perf_counter()
    work()
    finish(device)
    return time.perf_counter() - began


def rates(
    ways: dict[str, Callable[[], object]], *, device: torch.device, turns: int, warm: int
) -> dict[str, list[float]]:
    """Seconds of each way, in turns, so that whatever else happens meets all of them."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(warm + turns):
        for name, work in ways.items():
            seconds = timed(work, device=device)
            if turn >= warm:
                found[name].append(seconds)
    return found


def middle(values: list[float]) -> float:
    """The median."""
    return statistics.median(values)


def place(net: nn.Module, *, precision: Precision, device: torch.device) -> nn.Module:
    """On the device, in the layout that cnntrain chooses by itself."""
    last = device.type == "cpu" or precision != "float32"
    net.to(memory_format=torch.channels_last if last else torch.contiguous_format)
    return net.to(device)


def is_channels_last(precision: Precision, device: torch.device) -> bool:
    """Whether images are laid out so; see `place`."""
    return device.type == "cpu" or precision != "float32"
