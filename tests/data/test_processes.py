"""Processes that read images: deaf to the signals of a process group, and never left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from cnntrain.data import processes
from cnntrain.data.batch import Batching
from cnntrain.data.pipeline import Pipeline
from cnntrain.data.processes import PATIENCE
from cnntrain.data.splits import Pixels
from cnntrain.data.stream import StreamLoader

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@dataclass(frozen=True)
class Stuck(Pixels):
    """Its images are never read, as from a network share that is gone."""

    def open(self, index: int, reduction: object = None) -> None:
        while True:
            signal.pause()


def stream(kind: type[Pixels] = Pixels, *, workers: int = 2) -> StreamLoader:
    part = kind(torch.zeros(400, 3, 16, 16, dtype=torch.uint8), torch.zeros(400).long())
    how = Batching(4)
    return StreamLoader(part, name="train", pipeline=Pipeline(()), batching=how, workers=workers)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_do_not_get_the_signals(method: str) -> None:
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method(method, force=True)
    try:
        loader = stream(workers=1)
        batches = loader.batches(1)
        next(batches)
        [pid] = loader._pids()
        for number in SIGNALS:
            os.kill(pid, number)
        assert len(list(batches)) == 99
        assert loader._pids() == [pid]
        loader.close()
    finally:
        multiprocessing.set_start_method(before, force=True)


def test_those_that_are_stuck_are_killed_all_at_once() -> None:
    loader = stream(Stuck)
    batches = loader.batches(1)
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    signal.alarm(1)
    with pytest.raises(KeyboardInterrupt):
        next(batches)
    began = time.monotonic()
    loader.close()
    assert time.monotonic() - began < PATIENCE + 4  # torch alone: 10 seconds for each of them
    assert multiprocessing.active_children() == []


PROGRAM = """
import sys
from tests.data.test_processes import Stuck, stream
loader = stream(Stuck)
loader._order.epoch = 1
from cnntrain.data.processes import start_workers
start_workers(loader._loader)
print(*loader._pids(), flush=True)
if sys.argv[1] == "wait":
    input()
"""


@pytest.mark.parametrize("end", ["exit", "kill"])
def test_none_is_left_behind_when_nobody_ends_them(end: str) -> None:
    """They read for ever, and nobody closes the loader; the process exits, or is killed."""
    words = [sys.executable, "-c", PROGRAM, "wait" if end == "kill" else ""]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        words, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        assert len(pids) == 2
        if end == "kill":
            process.kill()
        assert process.wait(timeout=60) == (-signal.SIGKILL if end == "kill" else 0)
    until = time.monotonic() + 20
    while any(_is_alive(pid) for pid in pids):
        assert time.monotonic() < until, pids
        time.sleep(0.05)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # Python 3.12 and later
def test_another_process_that_exits_kills_none_of_ours() -> None:
    loader = stream(workers=1)
    batches = loader.batches(1)
    next(batches)
    if (pid := os.fork()) == 0:
        try:
            processes._kill_started()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert len(list(batches)) == 99
    loader.close()
