"""A file that two readers of zips could read differently is refused before torch reads it."""

from __future__ import annotations

import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cnntrain.checkpoint import load, save
from cnntrain.checkpoint.archive import damage
from cnntrain.checkpoint.torch_files import read_foreign_file
from cnntrain.core.errors import CheckpointError

STATE = {"model": {"w": torch.arange(200.0), "n": torch.tensor(3)}, "train": {"epoch": 3}}


def is_the_same(found: object, expected: object) -> bool:
    if isinstance(expected, dict):
        assert isinstance(found, dict)
        return found.keys() == expected.keys() and all(
            is_the_same(found[key], value) for key, value in expected.items()
        )
    if isinstance(expected, Tensor):
        return isinstance(found, Tensor) and torch.equal(found, expected)
    return found == expected


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save(tmp_path / "c.pt", STATE)
    return tmp_path / "c.pt"


def central(data: bytes) -> list[int]:
    """Where the records of the directory begin."""
    places, start = [], data.find(b"PK\1\2")
    while start >= 0:
        places.append(start)
        start = data.find(b"PK\1\2", start + 4)
    return places


def test_a_record_that_torch_takes_for_a_folder_is_refused(path: Path) -> None:
    """torch gives memory that nobody wrote for such a record, and the checksums are right."""
    whole = path.read_bytes()
    places = central(whole)
    assert len(places) > 5
    for place in places:
        broken = bytearray(whole)
        broken[place + 38] ^= 0x10
        path.write_bytes(broken)
        with pytest.raises(CheckpointError, match=r"the attributes of record .* not as torch"):
            load(path)
        with pytest.raises(CheckpointError, match="the attributes of record"):
            read_foreign_file(path)


def with_extra(data: bytearray, place: int) -> None:
    name = struct.unpack_from("<H", data, place + 28)[0]
    struct.pack_into("<H", data, place + 28, name - 4)
    struct.pack_into("<H", data, place + 30, 4)


SPOILERS: dict[str, Callable[[bytearray, int], object]] = {
    "folder of unix": lambda data, at: struct.pack_into("<L", data, at + 38, 0o040755 << 16),
    "hidden": lambda data, at: struct.pack_into("<L", data, at + 38, 2),
    "encrypted": lambda data, at: struct.pack_into("<H", data, at + 8, 0x809),
    "patched": lambda data, at: struct.pack_into("<H", data, at + 8, 0x828),
    "another disk": lambda data, at: struct.pack_into("<H", data, at + 34, 1),
    "an extra field": with_extra,
    "compressed": lambda data, at: struct.pack_into("<H", data, at + 10, 8),
    "another size": lambda data, at: struct.pack_into("<L", data, at + 20, 1),
    "the place of another": lambda data, at: struct.pack_into("<L", data, at + 42, 0),
    "a zero in its name": lambda data, at: struct.pack_into("<B", data, at + 46 + 7, 0),
}


@pytest.mark.parametrize("does", SPOILERS)
def test_what_torch_does_not_write_is_refused(path: Path, does: str) -> None:
    data = bytearray(path.read_bytes())
    SPOILERS[does](data, central(data)[-1])
    path.write_bytes(data)
    assert damage(path) is not None


def copied(path: Path, names: Callable[[str], str], **more: str) -> None:
    """The same records under other names, and more of them; sound to Python's reader."""
    with zipfile.ZipFile(path) as archive:
        content = {record.filename: archive.read(record) for record in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(names(name), data)
        for name, data in content.items():
            if more and name.endswith(tuple(more)):
                archive.writestr(more[name.rsplit("/", 1)[1]], data)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("twin", ["c/data/0", "C/DATA/0", "c/Data/0", "d/data/0", "c/../0", "c/"])
def test_names_that_lead_elsewhere_or_stand_twice(path: Path, twin: str) -> None:
    copied(path, lambda name: name, **{"0": twin})
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    found = damage(path)
    assert found is not None
    assert "not as torch writes it" in found.cause


def test_a_sound_copy_by_another_program_is_read(path: Path) -> None:
    copied(path, lambda name: name.replace("c/", "archive/"))
    assert is_the_same(load(path), STATE)


@pytest.mark.parametrize("where", ["before", "behind"])
def test_bytes_before_and_behind_the_archive(path: Path, where: str) -> None:
    """Python's reader finds the archive all the same, torch's may find another one."""
    data = path.read_bytes()
    more = data[:64]
    path.write_bytes(more + data if where == "before" else data[:-2] + b"\x40\0" + more)
    found = damage(path)
    assert found is not None
    assert "its directory is not where torch writes it" in found.cause


def test_what_torch_writes_is_let_through(tmp_path: Path) -> None:
    for number, content in enumerate(({"w": torch.zeros(0)}, {"a": {"b": torch.ones(3, 4)}}, {})):
        for name in (f"x..{number}.pt", f"name with spaces {number}", f"é{number}.pth.tar"):
            torch.save(content, tmp_path / name)
            assert damage(tmp_path / name) is None, name


def _flipped(data: bytes, at: int, *, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def test_every_region(path: Path) -> None:
    """A flipped bit, zeros and a cut anywhere: refused, or all that is read is as it was."""
    whole, draw, refused = path.read_bytes(), random.Random(3), 0
    flips = range(0, len(whole), 3)
    spoilt = [_flipped(whole, at, bit=draw.randrange(8)) for at in flips]
    pages = range(0, len(whole), 64)
    spoilt += [whole[:at] + bytes(64) + whole[at + 64 :] for at in pages]
    spoilt += [whole[:at] + bytes(len(whole) - at) for at in pages]
    spoilt += [whole[:at] for at in pages]
    for data in spoilt:
        path.write_bytes(data)
        try:
            assert is_the_same(load(path), STATE)
        except CheckpointError:
            refused += 1
    assert refused > len(spoilt) * 0.6
