"""Files inside of tar files, read in place: all that is asked of a path, from anywhere."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import random
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cnntrain.data import members
from cnntrain.data.members import Member, forget_open_files, opened_for_pillow
from cnntrain.data.path_list import PathList

CONTENT = {f"d/{n}.bin": random.Random(n).randbytes(1000 * n) for n in range(1, 30)}


@pytest.fixture
def packed(tmp_path: Path) -> list[Member]:
    """The members of a tar file, with the places that the standard library gives."""
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w") as tar:
        for name, content in CONTENT.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    with tarfile.open(path) as tar:
        found = tar.getmembers()
    return [Member.of(f"{path}\0{each.name}\0{each.offset_data}\0{each.size}") for each in found]


def test_it_is_a_path(packed: list[Member], tmp_path: Path) -> None:
    member = packed[2]
    assert isinstance(member, Path)
    assert str(member) == str(tmp_path / "s.tar/d/3.bin")
    assert (member.name, member.suffix, str(member.parent)) == (
        "3.bin", ".bin", str(tmp_path / "s.tar/d"),
    )  # fmt: skip
    assert member == tmp_path / "s.tar/d/3.bin"
    assert member in {tmp_path / "s.tar/d/3.bin"}
    status = member.stat()
    whole = (tmp_path / "s.tar").stat()
    assert (status.st_size, status.st_mtime_ns, status.st_mode) == (
        3000, whole.st_mtime_ns, whole.st_mode,
    )  # fmt: skip
    again = pickle.loads(pickle.dumps(member))
    assert (again, again.read_bytes()) == (member, CONTENT["d/3.bin"])
    assert isinstance(opened_for_pillow(member), io.BufferedReader)
    assert opened_for_pillow(member.parent) == member.parent


def test_a_relative_one_is_shown_as_an_absolute_path(
    packed: list[Member], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    short = Member.of(packed[0].entry.replace(f"{tmp_path}/", ""))
    assert str(short) == "s.tar/d/1.bin"
    assert short.absolute() == tmp_path / "s.tar/d/1.bin"
    assert short.read_bytes() == CONTENT["d/1.bin"]


def test_lists_of_paths_keep_them(packed: list[Member], tmp_path: Path) -> None:
    other = tmp_path / "other.jpg"
    other.write_bytes(b"1234567")
    listed = pickle.loads(pickle.dumps(PathList([*packed[:2], other, tmp_path / "gone"])))
    assert [type(path) for path in listed[:3]] == [Member, Member, type(other)]
    assert listed[1].read_bytes() == CONTENT["d/2.bin"]
    assert listed.texts == [str(path) for path in listed]
    times = [path.stat().st_mtime_ns for path in listed[:3]]
    assert list(listed.facts()) == [*zip((1000, 2000, 7), times, strict=True), None]
    gone = PathList([Member.of(packed[0].entry.replace("s.tar", "gone.tar"))])
    assert list(gone.facts()) == [None]
    assert listed.select([1])[0].read_bytes() == CONTENT["d/2.bin"]


def test_an_open_one_reads_as_a_file_does(packed: list[Member], tmp_path: Path) -> None:
    """Compared with the same content in a file of its own."""
    plain = tmp_path / "plain"
    plain.write_bytes(CONTENT["d/20.bin"])
    answers = []
    for path in (packed[19], plain):
        with path.open("rb") as file:
            found: list[object] = [file.read(10), file.tell(), file.seek(-5, os.SEEK_END)]
            found += [file.read(), file.read(1), file.seek(15_000), file.read(9_000)]
            found += [file.seek(30_000), file.read(4), file.seek(3), file.seek(4, os.SEEK_CUR)]
            answers.append([*found, file.read(300), file.seek(0), file.read()])
            with pytest.raises(OSError, match=r".+"):
                file.seek(-1)
    assert answers[0] == answers[1]


def test_of_a_large_one_as_much_is_read_as_is_asked_for(
    packed: list[Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    read = os.pread
    monkeypatch.setattr(os, "pread", lambda d, n, at: (asked.append(n), read(d, n, at))[1])
    with packed[-1].open() as file:
        assert file.read(4) == CONTENT["d/29.bin"][:4]
    assert sum(asked) <= io.DEFAULT_BUFFER_SIZE < 29_000


def test_few_tar_files_are_open_at_once(packed: list[Member], tmp_path: Path) -> None:
    assert members._OPEN <= 64, "of 1,024 that a process may usually open"
    forget_open_files()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    content = Path(packed[0].shard).read_bytes()
    for number in range(members._OPEN + 40):
        (tmp_path / f"{number}.tar").write_bytes(content)
        member = Member.of(packed[3].entry.replace("s.tar", f"{number}.tar"))
        assert member.read_bytes() == CONTENT["d/4.bin"]
    assert len(os.listdir("/proc/self/fd")) == before + members._OPEN  # noqa: PTH208
    forget_open_files()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def read_all(entries: list[str]) -> bool:
    found = [Member.of(entry).read_bytes() for entry in entries]
    return found == [CONTENT[Member.of(entry).name_inside] for entry in entries]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_and_threads_do_not_disturb_each_other(packed: list[Member], method: str) -> None:
    packed[0].read_bytes()  # a forked process has the same descriptor
    entries = [each.entry for each in packed]
    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(read_all, [entries] * 8))
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert all(pool.map_async(read_all, [entries] * 4).get(60))


def test_a_descriptor_is_not_closed_while_it_is_read(
    packed: list[Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where two threads open a tar file at once: the cache keeps but one of the two."""
    monkeypatch.setattr(members, "_opened", members._opened.__wrapped__)
    assert read_all([each.entry for each in packed])


def test_where_there_is_no_pread(packed: list[Member], monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows."""
    monkeypatch.delattr(os, "pread")
    assert read_all([each.entry for each in packed])
    with packed[5].open() as file:
        file.seek(7)
        assert file.read(50) == CONTENT["d/6.bin"][7:57]


def shortened(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize("damage", [shortened, Path.unlink])
def test_a_tar_file_that_became_shorter_or_is_gone(
    packed: list[Member], damage: Callable[[Path], None]
) -> None:
    forget_open_files()
    damage(Path(packed[0].shard))
    if damage is shortened:
        assert packed[-1].read_bytes() == b""
        assert packed[0].read_bytes() == CONTENT["d/1.bin"][: 2000 - 512]
        return
    with pytest.raises(FileNotFoundError):
        packed[0].read_bytes()
    with pytest.raises(FileNotFoundError):
        packed[0].stat()
