"""The lock of a run folder: one trainer at a time; the system releases that of a dead process."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from cnntrain.core.atomic import disk_errors
from cnntrain.core.errors import UsageError


@contextmanager
def run_lock(path: Path) -> Iterator[None]:
    """Hold the file `lock` of a run folder while its process trains there.

    The system holds the lock for the process, not the file: a file that a dead process, or an
    earlier version of cnntrain, has left behind is taken over. The file says who holds it.

    Args:
        path: the lock file.

    Raises:
        UsageError: another process trains in this folder.
        DiskError: the folder cannot be written to.
    """
    lock = FileLock(path)
    with disk_errors(path):
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise UsageError(
                f"another process{_holder(path)} is training in {path.parent}",
                remedy=f"wait for it or stop it; if none runs any more, delete {path}",
            ) from None
        path.write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is held: whoever waits for it sees that it is gone
        lock.release()


def _holder(path: Path) -> str:
    """Who holds the lock, in brackets; nothing where that is not written down yet."""
    try:
        said = path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
    return f" ({said})" if said.startswith("process ") else ""
