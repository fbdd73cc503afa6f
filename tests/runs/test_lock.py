"""The run lock: refused while its holder lives, taken over from the dead."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cnntrain.core.errors import UsageError
from cnntrain.runs.lock import RunLock

HOST = socket.gethostname()


def write(path: Path, *, pid: int, host: str = HOST, started: str = "") -> None:
    path.write_text(json.dumps({"pid": pid, "host": host, "started": started}))


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_second_trainer_is_refused_and_told_who_trains(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with RunLock(path):
        with pytest.raises(UsageError, match=f"process {os.getpid()} on {HOST}") as caught:
            RunLock(path).__enter__()
        assert f"delete {path}" in str(caught.value)
        assert path.exists()
    assert not path.exists()


def test_another_living_process_is_respected(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from cnntrain.runs.lock import RunLock
with RunLock(Path({str(tmp_path / "lock")!r})):
    print("held", flush=True)
    input()
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match=f"process {holder.pid}"):
            RunLock(tmp_path / "lock").__enter__()
        holder.kill()
        holder.wait()
        with RunLock(tmp_path / "lock"):  # the killed one left its lock behind
            pass


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    write(path, pid=dead_pid())
    with RunLock(path):
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="start times come from /proc")
def test_a_process_that_has_got_a_dead_ones_number_does_not_count(tmp_path: Path) -> None:
    write(tmp_path / "lock", pid=os.getpid(), started="an earlier boot:1")
    with RunLock(tmp_path / "lock"):
        pass


def test_another_machine_cannot_be_seen_from_here(tmp_path: Path) -> None:
    write(tmp_path / "lock", pid=dead_pid(), host="elsewhere")
    with pytest.raises(UsageError, match="on elsewhere"):
        RunLock(tmp_path / "lock").__enter__()


def test_an_unreadable_lock_counts_only_while_it_may_still_be_filled(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text('{"pid": 1')
    with pytest.raises(UsageError):
        RunLock(path).__enter__()
    os.utime(path, (1_000_000, 1_000_000))
    with RunLock(path):
        pass


def test_a_lock_that_is_no_longer_ours_is_left_alone(tmp_path: Path) -> None:
    with RunLock(tmp_path / "lock"):
        write(tmp_path / "lock", pid=1, host="elsewhere")
    assert (tmp_path / "lock").exists()
