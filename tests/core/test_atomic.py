"""Small files are written as a whole."""

import os
import shutil
import signal
from pathlib import Path
from typing import BinaryIO

import pytest
import torch

from cnntrain.core.atomic import (
    disk_errors,
    write_atomically,
    write_output,
    write_text_atomically,
)
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
            says = r"1\.0 kB and a reserve of 1\.0 MB for the file system needed, 1\.0 MB free"
            with pytest.raises(DiskError, match=rf"no space for .*a: {says}"):
                write_atomically(file, lambda stream: None, needed=needed)


def test_the_reserve_is_said_where_the_size_is_unknown(tmp_path: Path, monkeypatch) -> None:
    found = shutil.disk_usage(tmp_path)._replace(free=800_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: found)
    with pytest.raises(DiskError, match=r"/a: a reserve of 1\.0 MB .* needed, 800 kB free"):
        write_output(tmp_path / "a", lambda file: file.write(b"x"))


def test_an_output_is_written_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for content in (b"new", lambda file: file.write(b"newer")):
        write_output(tmp_path / "link", content)
        assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"newer"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_output(pipe, b"content")
    assert os.read(reader, 100) == b"content"
    os.close(reader)
    assert pipe.is_fifo()
    with pytest.raises(DiskError, match=r"cannot write /dev/full: No space left on device"):
        write_output(Path("/dev/full"), b"content")


def test_a_file_of_the_temporary_files_name_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.tmp").write_text("the user's")
    write_output(tmp_path / "a", b"content")
    assert (tmp_path / "a.tmp").read_text() == "the user's"


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_what_a_killed_process_left_unfinished_is_removed_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "re[p]ort.html"
    child = os.fork()
    if not child:
        write_output(path, lambda _: os.kill(os.getpid(), signal.SIGKILL))
    os.waitpid(child, 0)
    assert [each.name for each in tmp_path.iterdir()] == [f"{path.name}.{child}.tmp"]
    kept = [tmp_path / f"{path.name}.{end}.tmp" for end in (os.getppid(), "draft", "")]
    kept += [tmp_path / f"other.{child}.tmp", tmp_path / f"{path.name}.{child}.txt"]
    for each in kept:
        each.touch()
    write_output(path, b"whole")
    assert {*tmp_path.iterdir()} == {path, *kept}


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
