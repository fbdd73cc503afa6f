"""Watching the processes that read images: one that is stopped or stuck is ended and reported.

The time limit of torch's DataLoader counts the wait for a batch, not its handing over, which may
block for ever in a process that is stopped. So a thread looks at the processes meanwhile, and kills
them: whoever waits for them is then woken by an error. How long a batch takes does not matter as
long as some process computes or reads. Only where there is a /proc file system (Linux).
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

LOOK = 1.0
"""Seconds between two looks."""
STOPPED = 20
"""Looks in a row at which a process is stopped; looks, since this one may be stopped with it."""
STUCK = 300
"""Looks in a row between which no process has computed or read anything."""

_PROC = Path("/proc")


def can_watch() -> bool:
    """Whether the system says what a process does."""
    return (_PROC / "self" / "stat").is_file()


class Watch:
    """Looks after processes while somebody waits for them.

    Args:
        pids: says which processes there are now.
        look: seconds between two looks.
    """

    def __init__(self, pids: Callable[[], Sequence[int]], *, look: float = LOOK) -> None:
        self._pids = pids
        self._look = look
        self._ended = threading.Event()
        self._waits = 0
        self._is_waiting = False
        self.verdict = ""
        """Why the processes were ended; empty if they were not."""

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look, from a thread of its own, until the end of the block."""
        if not can_watch():
            yield
            return
        threading.Thread(target=self._run, name="worker watch", daemon=True).start()
        try:
            yield
        finally:
            self._ended.set()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While the processes are waited for: at other times they may do nothing."""
        self._waits += 1
        self._is_waiting = True
        try:
            yield
        finally:
            self._is_waiting = False

    def _run(self) -> None:
        stopped = stuck = wait = 0
        before: tuple[str, ...] = ()
        while not self._ended.wait(self._look):
            now = tuple(_signs(pid) for pid in self._pids())
            if not self._is_waiting or wait != self._waits:
                stopped = stuck = 0
            states = {sign[:1] for sign in now}
            stopped = stopped + 1 if states & {"T", "t"} else 0
            stuck = stuck + 1 if now == before else 0
            wait, before = self._waits, now
            if stopped >= STOPPED:
                self._end(f"one of them is stopped for {self._look * stopped:.0f} s")
            elif stuck >= STUCK:
                self._end(f"they have done nothing for {self._look * stuck:.0f} s")

    def _end(self, verdict: str) -> None:
        self.verdict = verdict
        self._ended.set()
        for pid in self._pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _signs(pid: int) -> str:
    """The state of a process, its processor time, and the bytes that it has read so far."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        read = (_PROC / str(pid) / "io").read_text().partition("wchar")[0]
    except OSError:
        return "X"
    return f"{fields[0]} {fields[11]} {fields[12]} {read}"
