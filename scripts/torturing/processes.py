"""Commands of cnntrain as forks of this process, which has torch loaded: many can be killed.

This process itself must never start a thread and never compute with torch: what is forked would
wait for ever for threads that the fork does not have.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

SLOW = (
    *("torch", "torchvision", "torchvision.transforms.v2", "torch.utils.tensorboard"),
    *("sklearn.datasets", "scipy.optimize", "matplotlib.figure", "PIL.Image"),
    *("cnntrain.cli.commands", "cnntrain.fit.restart", "cnntrain.fit.folds"),
    *("tensorboard.plugins.hparams.api_pb2", "torch._refs", "torch._decomp"),
)
"""What takes long to import, and commands need."""
PROGRAM = "from cnntrain.cli.app import main; main()"
LIMIT = 120.0
"""Seconds after which a command counts as one that hangs."""
LOOK = 0.001
"""Seconds between two looks at a process."""


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Args:
        code: the exit code; negative: the signal that ended it; None: it hung, and was killed.
        megabytes: of memory at the most, of one process, pages of files included.
    """

    words: tuple[str, ...]
    code: int | None
    out: str
    err: str
    seconds: float
    megabytes: float = 0.0

    @property
    def traceback(self) -> bool:
        """Whether Python's own account of an error reached the terminal."""
        return "Traceback (most recent call last)" in self.err or "Exception ignored" in self.err

    def __str__(self) -> str:
        last = " | ".join((self.err or self.out).strip().splitlines()[-2:])
        return f"cnntrain {' '.join(self.words)} -> {self.code}: {last[-300:]}"


def warm_up() -> None:
    """Import what commands need, the whole package with it; once, before the first of them."""
    for name in SLOW:
        importlib.import_module(name)
    importlib.import_module("PIL.Image").init()
    package = importlib.import_module("cnntrain")
    for module in pkgutil.walk_packages(package.__path__, "cnntrain."):
        if not module.name.startswith("cnntrain.configs"):
            importlib.import_module(module.name)


class Command:
    """A command that runs.

    Args:
        words: those after `cnntrain`.
        place: the folder in which it runs; its output goes to files there.
        prepare: called in the new process, before the command.
        stdout, stderr: other places for the output, opened files.
        is_program: it is a Python of its own that imports what it needs, not a fork.
    """

    def __init__(
        self,
        words: Sequence[str | Path],
        *,
        place: Path,
        prepare: Callable[[], None] | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        is_program: bool = False,
    ) -> None:
        self.words = tuple(map(str, words))
        self._files = (place / ".stdout", place / ".stderr")
        self._began = time.perf_counter()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()  # so that its processes can be found when it is gone
            os.chdir(place)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            for number, given, file in zip((1, 2), (stdout, stderr), self._files, strict=True):
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
                os.dup2(os.open(file, flags, 0o644) if given is None else given, number)
            if is_program:
                os.environ.pop("LD_PRELOAD", None)
                os.execv(sys.executable, [sys.executable, "-c", PROGRAM, *self.words])
            _be(self.words, prepare)

    def wait_until(self, reached: Callable[[], bool]) -> bool:
        """Wait for something; False if the command ended before."""
        while not reached():
            if self._is_over():
                return False
            time.sleep(LOOK)
        return not self._is_over()

    def signal_after(
        self, seconds: float, number: int = signal.SIGKILL, *, since_now: bool = False
    ) -> bool:
        """Send a signal that many seconds after the start, or from now; False if it had ended."""
        began = time.perf_counter() if since_now else self._began
        if not self.wait_until(lambda: time.perf_counter() - began >= seconds):
            return False
        os.kill(self.pid, number)
        return True

    def wait(self, limit: float = LIMIT) -> Ended:
        """Its end; a command that hangs is killed."""
        while not self._is_over():
            if time.perf_counter() - self._began > limit:
                os.killpg(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                return self._ended(None)
            time.sleep(LOOK)
        _, status, used = os.wait4(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return self._ended(code, megabytes=used.ru_maxrss * 1024 / 1e6)

    def orphans(self, patience: float = 20.0) -> list[int]:
        """Processes of it that are still there, after some seconds."""
        until = time.perf_counter() + patience
        while found := _session(self.pid):
            if time.perf_counter() > until:
                break
            time.sleep(0.05)
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        return found

    def _is_over(self) -> bool:
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.pid, flags) is not None

    def _ended(self, code: int | None, *, megabytes: float = 0.0) -> Ended:
        texts = [
            file.read_text("utf-8", errors="replace") if file.is_file() else ""
            for file in self._files
        ]
        return Ended(self.words, code, *texts, seconds=time.perf_counter() - self._began,
                     megabytes=megabytes)  # fmt: skip


def run(words: Sequence[str | Path], *, place: Path, **others: Any) -> Ended:
    """A command from its start to its end."""
    return Command(words, place=place, **others).wait()


def call(function: Callable[[], object], *, limit: float = LIMIT) -> tuple[int | None, str]:
    """Call something in a process of its own: exit code (None: it hung), and what it returned."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        code = 1
        try:
            os.write(writer, str(function()).encode()[:60_000])
            code = 0
        except BaseException:  # noqa: BLE001  # all that happens is the result
            os.write(writer, traceback.format_exc().encode()[-60_000:])
        os._exit(code)
    os.close(writer)
    began = time.perf_counter()
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.perf_counter() - began > limit:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(reader)
            return None, ""
        time.sleep(LOOK)
    _, status = os.waitpid(pid, 0)
    with os.fdopen(reader, "rb") as file:
        return os.waitstatus_to_exitcode(status), file.read().decode()


def _be(words: Sequence[str], prepare: Callable[[], None] | None) -> NoReturn:
    """Be the command until the process ends."""
    code: Any = 1
    # as the interpreter opens them: this process's own may know a place in a file
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)
    try:
        sys.argv = ["cnntrain", *words]
        if prepare is not None:
            prepare()
        importlib.import_module("cnntrain.cli.app").main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:  # noqa: BLE001  # what python itself would do
        traceback.print_exc()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        pass
    os._exit(code if isinstance(code, int) else 1)


def _session(leader: int) -> list[int]:
    """The processes of a session that are no zombies."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == leader and fields[0] != "Z" and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found
