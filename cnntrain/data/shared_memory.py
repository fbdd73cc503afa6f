"""The shared memory in which workers hand over batches: /dev/shm, which is small in containers."""

from __future__ import annotations

import shutil
from pathlib import Path

from cnntrain.core.errors import DataError
from cnntrain.core.units import byte_size

PREFETCHED = 2
"""Batches that a worker reads ahead."""
ENLARGE = "enlarge /dev/shm (docker: --shm-size=2g)"
_PLACE = Path("/dev/shm")
_PAGES = 2 * 4096  # a batch is two files


def check_shared_memory(batch: int, *, workers: int) -> None:
    """Compare what the batches of all workers need with what is free.

    Args:
        batch: bytes of one.
        workers: that are about to start.

    Raises:
        DataError: it cannot hold them.
    """
    if not _PLACE.is_dir():
        return
    free = shutil.disk_usage(_PLACE).free
    each = PREFETCHED * (batch + _PAGES)
    if workers * each > free:
        raise DataError(
            f"the batches of {workers} workers need {byte_size(workers * each)} of shared memory, "
            f"and /dev/shm has {byte_size(free)} free",
            remedy=f"lower `data.workers` to {free // each}, or {ENLARGE}",
        )


def no_shared_memory(error: Exception) -> DataError:
    """What it means that a worker cannot put a batch there."""
    return DataError(
        f"a worker process cannot hand over its batch: {str(error).partition(chr(10))[0]}",
        remedy=f"lower `data.workers` or data.batch_size, or {ENLARGE}",
    )
