"""The lock of a run's folder, which the system releases when its process dies."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from cnntrain.core.atomic import disk_errors
from cnntrain.core.errors import DiskError, UsageError

_WITHOUT_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
"""What a file system answers that cannot lock, such as NFS without its lock service."""


@contextmanager
def run_lock(path: Path, *, wait: float = 0, doing: str = "training") -> Iterator[None]:
    """Hold the lock file of a run folder while its process trains there.

    The system holds the lock for the process, not the file: a file that a dead process, or an
    earlier version of cnntrain, has left behind is taken over. The file says who holds it.

    Args:
        path: the file; it is gone afterwards.
        wait: seconds to wait for another process that holds it.
        doing: what its holder does there.

    Raises:
        UsageError: another process trains in this folder.
        DiskError: the folder cannot be written to, or its file system has no locks.
    """
    lock = FileLock(path)
    with disk_errors(path):
        try:
            lock.acquire(timeout=wait)
        except Timeout:
            raise UsageError(
                f"another process{_holder(path)} is {doing} in {path.parent}",
                remedy=f"wait for it or stop it; if none runs any more, delete {path}",
            ) from None
        except OSError as error:
            if error.errno not in _WITHOUT_LOCKS:
                raise
            raise DiskError(
                f"the file system of {path.parent} has no locks ({error.strerror}), so that two "
                "processes could train there at once",
                remedy="choose a local folder with --out, or mount it with locks (NFS: its lock "
                "service, or the option local_lock=all where one machine alone writes there)",
            ) from error
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
