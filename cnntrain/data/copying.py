"""Batches of the host's memory on their way to a device."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

OnHost = tuple[Tensor, Tensor]
"""Images and targets."""


def copied(
    batches: Iterator[OnHost], device: torch.device, *, ahead: bool = False
) -> Iterator[OnHost]:
    """Each batch on a device.

    Args:
        batches: on the host; those for a GPU in pinned memory, so that nothing waits for a copy.
        device: where to.
        ahead: copy each to a GPU on a stream of its own, while the one before it is worked on.
            Otherwise the GPU copies it when it has done what it was given before.
    """
    if not ahead:
        for images, targets in batches:
            yield images.to(device, non_blocking=True), targets.to(device, non_blocking=True)
        return
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    under_way: tuple[OnHost, torch.cuda.Event] | None = None
    for images, targets in batches:
        with torch.cuda.stream(stream):
            pair = images.to(device, non_blocking=True), targets.to(device, non_blocking=True)
        begun = pair, stream.record_event()
        if under_way is not None:
            yield _arrived(*under_way)
        under_way = begun
    if under_way is not None:
        yield _arrived(*under_way)


def _arrived(pair: OnHost, copy: torch.cuda.Event) -> OnHost:
    """The batch, for the stream that works on it: it waits for the copy, and the host does not."""
    worker = torch.cuda.current_stream(pair[0].device)
    worker.wait_event(copy)
    for tensor in pair:
        tensor.record_stream(worker)  # or its memory would be used again while it is read
    return pair
