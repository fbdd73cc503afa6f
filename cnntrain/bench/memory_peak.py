"""The largest amount of memory that was in use up to the end of some training steps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch


class MemoryPeak:
    """Of a GPU, that of its tensors; of a CPU, that of this whole process, where Linux says it.

    `found` has the bytes, by what they are of.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.found: dict[str, int] = {}

    @contextmanager
    def measured(self) -> Iterator[None]:
        """While training steps are done."""
        on_gpu = self._device.type == "cuda"
        if on_gpu:
            torch.cuda.reset_peak_memory_stats(self._device)
        yield
        if on_gpu:
            self.found["peak of the GPU"] = torch.cuda.max_memory_allocated(self._device)
        elif (peak := _peak_of_process()) is not None:
            self.found["peak of the process"] = peak


def _peak_of_process() -> int | None:
    with suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
        return 1024 * int(found[1]) if found else None
    return None
