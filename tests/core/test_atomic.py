"""Small files are written as a whole."""

import os
import shutil
from pathlib import Path
from typing import BinaryIO

import pytest
import torch

from cnntrain.core.atomic import disk_errors, write_atomically, write_text_atomically
from cnntrain.core.errors import DiskError


def test_text(tmp_path: Path) -> None:
    write_text_atomically(tmp_path / "a.txt", "\u00e9\n")
    assert (tmp_path / "a.txt").read_bytes() == "\u00e9\n".encode()
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_an_error_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    write_text_atomically(tmp_path / "a.txt", "old")

    def fail(file: BinaryIO) -> None:
        raise OSError(28, os.strerror(28))

    with pytest.raises(DiskError, match=r"cannot write .*No space left"):
        write_atomically(tmp_path / "a.txt", fail, needed=1)
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_two_writers_do_not_share_a_temporary_file(tmp_path: Path) -> None:
    seen: set[str] = set()

    def write(file: BinaryIO) -> None:
        seen.update(path.name for path in tmp_path.iterdir())

    for mark in (".1", ".2"):
        write_atomically(tmp_path / "a", write, needed=1, mark=mark)
    assert seen == {"a.1.tmp", "a.2.tmp", "a"}


def test_an_error_of_the_system_names_the_file(tmp_path: Path) -> None:
    missing = tmp_path / "none" / "a.txt"
    with (
        pytest.raises(DiskError, match=r"cannot write .*a\.txt: No such file"),
        disk_errors(missing),
    ):
        missing.write_text("")


def test_a_megabyte_is_left_to_the_file_system(tmp_path: Path, monkeypatch) -> None:
    file, needed, spare = tmp_path / "a", 1000, 2**20
    usage = shutil.disk_usage(tmp_path)
    for free in (needed + spare, needed + spare - 1):
        found = usage._replace(free=free)
        monkeypatch.setattr(shutil, "disk_usage", lambda _folder, found=found: found)
        if free == needed + spare:
            write_atomically(file, lambda stream: None, needed=needed)
            assert file.read_bytes() == b""
        else:
            with pytest.raises(DiskError, match=r"no space for .*1\.0 kB needed, 1\.0 MB free"):
                write_atomically(file, lambda stream: None, needed=needed)


def test_a_missing_folder_is_a_disk_error(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="No such file or directory"):
        write_text_atomically(tmp_path / "none" / "a.txt", "b")


def test_an_interruption_is_not_hidden_by_the_writer_and_leaves_nothing(tmp_path: Path) -> None:
    """torch's writer meets an exception of the file's with one of its own."""
    write_text_atomically(tmp_path / "a", "old")

    class Interrupting:
        def write(self, _: bytes) -> int:
            raise KeyboardInterrupt("stopped")

        def flush(self) -> None:
            pass

    def write(_: BinaryIO) -> None:
        try:
            torch.save({"a": torch.zeros(1000)}, Interrupting())
        except RuntimeError as error:
            raise OSError("torch.save failed") from error

    with pytest.raises(KeyboardInterrupt, match="stopped"):
        write_atomically(tmp_path / "a", write, needed=1)
    assert (tmp_path / "a").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_an_earlier_interruption_does_not_hide_an_error(tmp_path: Path) -> None:
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        with pytest.raises(DiskError):
            write_text_atomically(tmp_path / "none" / "a", "b")
