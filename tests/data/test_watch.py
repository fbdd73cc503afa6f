"""Processes that are stopped or stuck are ended; those that work slowly are not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from cnntrain.core.errors import DataError
from cnntrain.data import shared_memory, watch
from cnntrain.data.batch import Batching
from cnntrain.data.pipeline import Pipeline
from cnntrain.data.splits import Pixels
from cnntrain.data.stream import StreamLoader, worker_failure
from cnntrain.data.watch import Watch
from cnntrain.data.worker import collate

pytestmark = pytest.mark.skipif(not Path("/proc/self/io").is_file(), reason="there is no /proc")
LOOK = 0.02


@contextmanager
def process(code: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", code]) as child:
        try:
            yield child
        finally:
            child.kill()


def verdict_on(child: subprocess.Popen[bytes], *, until: float) -> str:
    found = Watch(lambda: [child.pid], look=LOOK)
    end = time.monotonic() + until
    with found.watching(), found.waiting():
        while not found.verdict and time.monotonic() < end:
            time.sleep(LOOK)
    return found.verdict.reason if found.verdict else ""


def test_a_stopped_process_is_ended() -> None:
    with process("import time; time.sleep(60)") as child:
        os.kill(child.pid, signal.SIGSTOP)
        assert "stopped" in verdict_on(child, until=20)
        assert child.wait() == -signal.SIGKILL


def test_a_process_that_does_nothing_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "STUCK", 20)
    with process("import time; time.sleep(60)") as child:
        time.sleep(1)  # it has started
        assert "have done nothing" in verdict_on(child, until=20)


def test_a_slow_one_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads a byte now and then, as from a slow disk."""
    monkeypatch.setattr(watch, "STUCK", 40)
    code = "import time\nwhile True: open('/proc/self/stat').read(); time.sleep(0.05)"
    with process(code) as child:
        assert verdict_on(child, until=3) == ""
        assert child.poll() is None


def test_what_is_not_waited_for_may_do_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "STUCK", 5)
    with process("import time; time.sleep(60)") as child:
        found = Watch(lambda: [child.pid], look=LOOK)
        with found.watching():
            time.sleep(1)
        assert found.verdict is None


def test_without_proc_the_wait_for_a_batch_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_PROC", Path("/no/such/folder"))
    monkeypatch.setattr(watch, "BLIND", 10)
    with process("while True: pass") as child:
        assert "no batch has come for 0 s" in verdict_on(child, until=20)
        assert child.wait() == -signal.SIGKILL


def test_the_file_that_is_waited_for_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(watch, "STUCK", 10)
    file = tmp_path / "image.jpg"
    file.touch()
    with process(f"import time; kept = open({str(file)!r}); time.sleep(60)") as child:
        while not watch._files(child.pid) & {str(file)}:
            time.sleep(LOOK)
        assert f"but wait for {file}" in verdict_on(child, until=20)


def test_a_read_in_this_process_that_does_not_return_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watch, "BLIND", 5)
    found = Watch(list, look=LOOK)
    with found.watching(), found.waiting():
        until = time.monotonic() + 20
        while not (said := capsys.readouterr().err) and time.monotonic() < until:
            time.sleep(LOOK)
    assert said.startswith("warning: no batch has come for 0 s; check that the disk or network")


def stream(images: int = 400, *, workers: int = 2) -> StreamLoader:
    part = Pixels(
        torch.zeros(images, 3, 16, 16, dtype=torch.uint8), torch.zeros(images, dtype=torch.int64)
    )
    how = Batching(4)
    return StreamLoader(part, name="train", pipeline=Pipeline(()), batching=how, workers=workers)


def test_a_stopped_worker_ends_training_with_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "STOPPED", 2)
    loader = stream()
    batches = loader.batches(1)
    next(batches)
    os.kill(loader._pids()[0], signal.SIGSTOP)
    with pytest.raises(DataError, match=r"one of them is stopped .* lower `data.workers`"):
        list(batches)
    assert loader._pids() == []


def test_no_death_is_reported_once_the_workers_are_being_ended() -> None:
    """torch's handler raises at each of them: here two die while this process waits for them."""
    loader, reported = stream(workers=2), []
    batches = loader.batches(1)
    next(batches)
    before = signal.signal(signal.SIGCHLD, lambda *_: reported.append("a death"))
    try:
        pids = loader._pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(0.3)  # that they were stopped is signalled, too
        reported.clear()
        dying = threading.Timer(0.3, lambda: [os.kill(pid, signal.SIGKILL) for pid in pids])
        dying.start()
        loader.close()
        dying.join()
        assert signal.getsignal(signal.SIGCHLD) not in (before, signal.SIG_DFL)
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert reported == loader._pids() == []


def test_a_dead_worker_is_noticed_without_the_signal() -> None:
    """torch raises an error when the signal of its death comes; a finaliser may swallow that."""
    loader = stream()
    batches = loader.batches(1)
    next(batches)
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        os.kill(loader._pids()[0], signal.SIGKILL)
        with pytest.raises(DataError, match="died or hang"):
            list(batches)
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_too_little_shared_memory_is_found_before_the_workers_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Usage:
        free = 30_000

    monkeypatch.setattr(shared_memory.shutil, "disk_usage", lambda _: Usage)
    loader = stream(workers=2)  # 2 workers x 2 batches x (4 x 768 bytes and 2 pages)
    with pytest.raises(DataError, match=r"need 45\.1 kB .* 30\.0 kB free; lower .* to 1, or enla"):
        next(loader.batches(1))
    assert loader._pids() == []


def test_a_worker_without_shared_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnntrain.data.worker.get_worker_info", lambda: object())

    def full(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("unable to allocate shared memory(shm) for file </x>: No space left")

    monkeypatch.setattr(torch.Tensor, "share_memory_", full)
    failure = collate([(torch.zeros(3, 2, 2), 0, 0)])
    with pytest.raises(DataError, match=r"unable to allocate .*docker: --shm-size"):
        raise failure.to_raise()  # type: ignore[union-attr]  # it is a Failure


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(24, "Too many open files"), "too many files .*ulimit -n"),
        (RuntimeError("received 0 items of ancdata"), "too many files .*ulimit -n"),
        (OSError(28, "No space left on device"), "no shared memory .*--shm-size"),
        (ConnectionResetError(104, "Connection reset by peer"), "died or hang"),
    ],
)
def test_errors_of_the_system_have_a_remedy(error: Exception, words: str) -> None:
    found = worker_failure(error, workers=2)
    with pytest.raises(DataError, match=words):
        raise found  # type: ignore[misc]  # not None


def test_other_errors_are_not_taken_for_the_workers() -> None:
    assert worker_failure(OSError(5, "Input/output error"), workers=2) is None
    assert worker_failure(RuntimeError("shapes"), workers=2) is None
