"""Watching the processes that read images: one that is stopped or stuck is ended and reported.

The time limit of torch's DataLoader counts the wait for a batch, not its handing over, which may
block for ever in a process that is stopped. So a thread looks at the processes meanwhile, and kills
them: whoever waits for them is then woken by an error. How long a batch takes does not matter as
long as some process computes or reads. Where that cannot be seen, because there is no /proc file
system (macOS, Windows), it is the wait for one batch that is limited.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cnntrain.core.stderr import say
from cnntrain.data.shared_memory import ENLARGE

LOOK = 1.0
"""Seconds between two looks."""
STOPPED = 20
"""Looks in a row at which a process is stopped; looks, since this one may be stopped with it."""
STUCK = 300
"""Looks in a row between which no process has computed or read anything."""
BLIND = 600
"""Looks during one wait, where there is nothing to be seen."""

_PROC = Path("/proc")
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
"""Windows has but this one, and it kills."""


def can_look() -> bool:
    """Whether the system says what a process does."""
    return (_PROC / "self" / "stat").is_file()


@dataclass(frozen=True)
class Verdict:
    """Why processes were ended, and what to do about it; in a remedy, workers are counted in {}."""

    reason: str
    remedy: str = (
        "lower `data.workers` (now {}; 0 reads without workers), free memory, or " + ENLARGE
    )


ANSWER = (
    "check that the disk or network share of the images answers (`ls`, `cnntrain data check`), "
    "then resume the run"
)
"""The remedy where reads do not return."""


class Watch:
    """Looks after processes while somebody waits for them.

    Args:
        pids: says which processes there are now; none where it is this one that reads. Then a
            wait that is too long is only reported: it may end with the share's coming back.
        look: seconds between two looks.
    """

    def __init__(self, pids: Callable[[], Sequence[int]], *, look: float = LOOK) -> None:
        self._pids = pids
        self._look = look
        self._ended = threading.Event()
        self._waits = 0
        self._is_waiting = False
        self.verdict: Verdict | None = None
        """Why the processes were ended; None if they were not."""

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look, from a thread of its own, until the end of the block."""
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
                self._end(Verdict(f"one of them is stopped for {self._look * stopped:.0f} s"))
            elif stuck >= (STUCK if now and can_look() else BLIND):
                self._end(self._stuck(self._look * stuck))

    def _stuck(self, seconds: float) -> Verdict:
        if not can_look() or not self._pids():
            return Verdict(f"no batch has come for {seconds:.0f} s", ANSWER)
        files = sorted({file for pid in self._pids() for file in _files(pid) - _files(os.getpid())})
        reading = f" but wait for {files[0]}" if files else ""
        return Verdict(f"they have done nothing for {seconds:.0f} s{reading}", ANSWER)

    def _end(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self._ended.set()
        if not self._pids():
            say(f"warning: {verdict.reason}; {verdict.remedy}")
        for pid in self._pids():
            with suppress(ProcessLookupError):
                os.kill(pid, KILL)


def _files(pid: int) -> set[str]:
    """The files that a process has open, without asking the file system about them."""
    names = set()
    with suppress(OSError):
        for link in (_PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):
                names.add(str(link.readlink()))
    return {name for name in names if name.startswith("/") and not name.startswith(_OF_SYSTEM)}


_OF_SYSTEM = ("/dev/", "/proc/", "/sys/", "/memfd:")


def _signs(pid: int) -> str:
    """The state of a process, its processor time, and the bytes that it has read so far."""
    if not can_look():
        return ""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        read = (_PROC / str(pid) / "io").read_text().partition("wchar")[0]
    except OSError:
        return "X"
    return f"{fields[0]} {fields[11]} {fields[12]} {read}"
