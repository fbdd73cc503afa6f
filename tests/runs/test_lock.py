"""The run lock: refused while its holder lives, taken over from the dead."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cnntrain.core.errors import DiskError, UsageError
from cnntrain.runs.lock import run_lock

HOST = socket.gethostname()


def test_a_second_trainer_is_refused_and_told_who_trains(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with run_lock(path):
        with pytest.raises(UsageError, match=rf"\(process {os.getpid()} on {HOST}\)") as caught:
            run_lock(path).__enter__()
        assert f"delete {path}" in str(caught.value)
        assert path.exists()
    assert list(tmp_path.iterdir()) == []
    with run_lock(path):  # the first one has let go
        pass


def test_another_living_process_is_respected(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from cnntrain.runs.lock import run_lock
with run_lock(Path({str(tmp_path / "lock")!r})):
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
        for _ in range(2):  # a refusal changes nothing
            with pytest.raises(UsageError, match=f"process {holder.pid}"):
                run_lock(tmp_path / "lock").__enter__()
        holder.kill()
        holder.wait()
        assert (tmp_path / "lock").exists()  # the killed one left its file behind
        with run_lock(tmp_path / "lock"):
            assert str(os.getpid()) in (tmp_path / "lock").read_text()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pid", [1, os.getpid(), 2**70], ids=["init", "own", "absurd"])
def test_a_file_that_an_earlier_version_left_holds_nothing(tmp_path: Path, pid: int) -> None:
    path = tmp_path / "lock"
    path.write_text(json.dumps({"pid": pid, "host": "elsewhere", "started": ""}))
    with run_lock(path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_holder_that_has_not_said_who_it_is_is_respected(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with run_lock(path):
        path.write_text("")
        with pytest.raises(UsageError, match="another process is training"):
            run_lock(path).__enter__()


def test_a_failure_while_training_lets_go(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="diverged"), run_lock(tmp_path / "lock"):
        raise RuntimeError("diverged")
    with run_lock(tmp_path / "lock"):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(DiskError, match=r"cannot write .*lock"):
            run_lock(tmp_path / "lock").__enter__()
    finally:
        tmp_path.chmod(0o700)


def test_a_lock_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match=r"cannot write .*lock"):
        run_lock(tmp_path).__enter__()


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("cnntrain.runs.lock.FileLock.acquire", refuse)
    with pytest.raises(DiskError, match=r"has no locks \(No locks available\).*--out"):
        run_lock(tmp_path / "lock").__enter__()
