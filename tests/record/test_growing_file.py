"""A file that may fail: what waits, what is lost, and that no record is torn."""

from __future__ import annotations

import errno
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from cnntrain.record import growing_file
from cnntrain.record.growing_file import GrowingFile


class FullDisk:
    """Takes so many bytes, then no more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = 0
        real = Path.open

        def opened(path: Path, mode: str = "r", *others: Any, **named: Any) -> Any:
            return self.file(path) if mode == "ab" else real(path, mode, *others, **named)

        monkeypatch.setattr(Path, "open", opened)

    def file(self, path: Path) -> FileIO:
        disk = self

        class File(FileIO):
            def write(self, data: bytes) -> int:  # type: ignore[override]
                if disk.free == 0:
                    raise OSError(errno.ENOSPC, "No space left on device")
                part = data[: disk.free]
                disk.free -= len(part)
                return super().write(part)

        return File(str(path), "ab")


def test_a_full_disk_is_caught_up_with_and_tears_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch)
    file = GrowingFile(tmp_path / "log", head=b"head\n")
    disk.free = 8
    file.add(b"first\n")
    assert file.trouble == "No space left on device"
    assert (tmp_path / "log").read_bytes() == b"head\nfir"
    file.add(b"second\n")
    disk.free = 100
    file.add(b"third\n")
    assert file.trouble == ""
    assert (tmp_path / "log").read_bytes() == b"head\nfirst\nsecond\nthird\n"
    file.close()


def test_what_does_not_fit_into_memory_is_lost_as_whole_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing_file, "KEPT", 10)
    disk = FullDisk(monkeypatch)
    file = GrowingFile(tmp_path / "log")
    for record in (b"one\n", b"two\n", b"three\n", b"four\n"):
        file.add(record)
    disk.free = 100
    file.close()
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"
    assert file.trouble == "No space left on device"


def test_a_record_whose_beginning_was_deleted_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch)
    file = GrowingFile(tmp_path / "log", head=b"head\n")
    disk.free = 8
    file.add(b"first\n")
    (tmp_path / "log").unlink()
    disk.free = 100
    file.add(b"second\n")
    assert (tmp_path / "log").read_bytes() == b"head\nsecond\n"
    assert "deleted" in file.trouble
    file.close()


def test_a_device_is_written_to_as_it_is() -> None:
    file = GrowingFile(Path("/dev/full"))
    file.add(b"first\n")
    file.add(b"second\n")
    assert file.trouble == "No space left on device"
    file.close()
