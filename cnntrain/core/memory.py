"""How much memory this machine has, and which errors say that it is used up. Imports no torch."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

_USED_UP = (
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",  # on Windows
    "CUDA error: out of memory",
    "MPS backend out of memory",
    "Storage size calculation overflowed",  # torch's words for more than 2**63 bytes
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python or torch says so; by name and words, because torch need not be imported."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or any(words in str(error) for words in _USED_UP)
    )


def host_memory() -> int | None:
    """Bytes that this process can have at most, swap included; None where that is unknown."""
    return min(_bounds(), default=None)


def give_back() -> None:
    """Return to the system what was freed but is kept by the C library (glibc; others do not).

    It keeps blocks of up to 32 MB, of each thread apart, which other threads do not find again.
    """
    trim = getattr(_c_library(), "malloc_trim", None)
    if trim is not None:
        trim(0)


@cache
def _c_library() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" else None


def _bounds() -> Iterator[int]:
    with suppress(OSError, ValueError, AttributeError):  # Windows has no sysconf
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") + _swap()
    with suppress(OSError, ValueError):  # of a container; "max" without a limit
        yield int(Path("/sys/fs/cgroup/memory.max").read_text("ascii"))
    with suppress(ImportError):
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            yield limit


def _swap() -> int:
    with suppress(OSError):
        found = re.search(r"SwapTotal: +(\d+) kB", Path("/proc/meminfo").read_text("ascii"))
        return 1024 * int(found[1]) if found else 0
    return 0
