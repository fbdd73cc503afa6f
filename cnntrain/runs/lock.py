"""The lock of a run folder: one trainer at a time; that of a dead process is taken over."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from cnntrain.core.atomic import disk_errors
from cnntrain.core.errors import UsageError

# A lock is created and filled at once; an unreadable one that is older was left by a crash.
_FILLING_SECONDS = 10.0


@dataclass(frozen=True)
class _Holder:
    pid: int
    host: str
    started: str  # tells a process from a later one with the same number; "" where unknown


class RunLock:
    """Holds the file `lock` of a run folder while its process trains there.

    Use it in a `with` statement. A lock whose process is gone (same machine, no such process, or
    one that started later under the same number) is taken over. A lock of another machine, whose
    processes cannot be seen from here, stands.

    Args:
        path: the lock file.

    Raises:
        UsageError: another process trains in this folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mine = _Holder(os.getpid(), socket.gethostname(), _started(os.getpid()))

    def __enter__(self) -> RunLock:
        for _ in range(5):
            if self._create():
                return self
            holder = _read(self._path)
            if _lives(holder, self._path):
                break
            self._remove_stale(holder)
        where = f" (process {holder.pid} on {holder.host})" if holder else ""
        raise UsageError(
            f"{self._path.parent} is being trained in by another process{where}",
            remedy=f"wait for it or stop it; if none runs any more, delete {self._path}",
        )

    def __exit__(self, *_: object) -> None:
        if _read(self._path) == self._mine:
            self._path.unlink(missing_ok=True)

    def _create(self) -> bool:
        with disk_errors(self._path):
            try:
                file = self._path.open("x", encoding="utf-8")
            except FileExistsError:
                return False
            with file:
                file.write(json.dumps(asdict(self._mine)) + "\n")
            return True

    def _remove_stale(self, judged: _Holder | None) -> None:
        """Move the stale lock aside; if a rival was faster, its fresh lock is put back."""
        aside = self._path.with_name(f".lock.{os.getpid()}")
        try:
            self._path.rename(aside)
        except FileNotFoundError:
            return
        if _read(aside) != judged:
            aside.rename(self._path)
        else:
            aside.unlink()


def _read(path: Path) -> _Holder | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return _Holder(int(found["pid"]), str(found["host"]), str(found["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _lives(holder: _Holder | None, path: Path) -> bool:
    if holder is None:
        try:
            return time.time() - path.stat().st_mtime < _FILLING_SECONDS
        except FileNotFoundError:
            return False
    if holder.host != socket.gethostname() or os.name == "nt":
        return True  # cannot be told from here
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return holder.started in ("", _started(holder.pid))


def _started(pid: int) -> str:
    """When the process started, in ticks since boot, with the boot's id; "" if not on Linux."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
    return f"{boot}:{stat.rpartition(')')[2].split()[19]}"
