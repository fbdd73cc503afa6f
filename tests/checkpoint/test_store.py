"""Damaged, foreign and hostile files are refused by name; a failed write leaves the old file."""

import errno
import os
import pickle
import random
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cnntrain.checkpoint import LAST, PREVIOUS, load, load_newest, read_torch_file, save
from cnntrain.checkpoint import archive as archive_module
from cnntrain.checkpoint import store as store_module
from cnntrain.core import atomic as atomic_module
from cnntrain.core.errors import CheckpointError, DiskError


def make_state(number: int = 0) -> dict[str, object]:
    generator = torch.Generator().manual_seed(number)
    return {
        "model": {"w": torch.randn(64, 8, generator=generator), "n": torch.tensor(number)},
        "train": {"epoch": number, "best": None, "error": 0.25, "names": ["a", "b"], 7: (1, 2)},
    }


def equal(first: object, second: object) -> bool:
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(equal(v, second[k]) for k, v in first.items())
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return torch.equal(first, second)
    return first == second


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save(tmp_path / LAST, make_state())
    return tmp_path / LAST


def test_round_trip_and_no_litter(path: Path) -> None:
    assert equal(load(path), make_state())
    assert [p.name for p in path.parent.iterdir()] == [LAST]


def test_the_previous_generation_is_kept(path: Path) -> None:
    for number in (1, 2):
        save(path, make_state(number), previous=path.with_name(PREVIOUS))
    assert equal(load(path), make_state(2))
    assert equal(load(path.with_name(PREVIOUS)), make_state(1))
    assert load_newest(path.parent).path == path


def test_also_where_there_are_no_hard_links(path: Path, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    save(path, make_state(1), previous=path.with_name(PREVIOUS))
    assert equal(load(path), make_state(1))
    assert equal(load(path.with_name(PREVIOUS)), make_state(0))


def test_a_damaged_last_never_replaces_a_good_previous(path: Path) -> None:
    previous = path.with_name(PREVIOUS)
    save(path, make_state(1), previous=previous)
    path.write_bytes(path.read_bytes()[:500])
    save(path, make_state(2), previous=previous)
    assert equal(load(previous), make_state(0))


def test_falls_back_and_says_why(path: Path) -> None:
    save(path, make_state(1), previous=path.with_name(PREVIOUS))
    path.write_bytes(b"")
    loaded = load_newest(path.parent)
    assert equal(loaded.state, make_state(0))
    assert loaded.path.name == PREVIOUS
    assert loaded.skipped == (f"{path} is empty",)
    loaded.path.write_bytes(b"hello")
    with pytest.raises(CheckpointError, match=r"last\.pt is empty; .*previous\.pt is not a check"):
        load_newest(path.parent)


def test_no_cut_is_loaded(path: Path) -> None:
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            load(path)


def test_no_flipped_bit_or_zeroed_page_is_loaded_as_something_else(path: Path) -> None:
    whole, rng, refused = path.read_bytes(), random.Random(5), 0
    for trial in range(400):
        broken = bytearray(whole)
        if trial % 4:
            broken[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        else:
            start = rng.randrange(len(whole))
            broken[start : start + 512] = bytes(len(broken[start : start + 512]))
        path.write_bytes(broken)
        try:
            # A flip in a time stamp or in padding changes nothing that is read.
            assert equal(load(path), make_state())
        except CheckpointError:
            refused += 1
    assert refused > 200


def test_messages(tmp_path: Path) -> None:
    target = tmp_path / "x.pt"
    cases: dict[str, bytes] = {
        "is empty": b"",
        "is not a checkpoint: it does not begin like a zip file": b"hello world",
        "is a pickle or a torch file of before 2020, which can run code": pickle.dumps({"a": 1}),
    }
    for message, content in cases.items():
        target.write_bytes(content)
        with pytest.raises(CheckpointError, match=re.escape(f"{target} {message}")):
            load(target)
    with pytest.raises(CheckpointError, match="does not exist"):
        load(tmp_path / "none.pt")
    with pytest.raises(CheckpointError, match="is a folder"):
        load(tmp_path)
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("a.txt", "b")
    with pytest.raises(CheckpointError, match="a zip archive, but not one of torch's"):
        load(target)
    torch.save([1, 2], target)
    with pytest.raises(CheckpointError, match="holds a list, not a dictionary"):
        load(target)
    torch.save({"w": torch.ones(1)}, target)
    assert read_torch_file(target)["w"] == 1
    with pytest.raises(CheckpointError, match="not a checkpoint of cnntrain"):
        load(target)
    torch.save({"cnntrain_checkpoint": 99}, target)
    with pytest.raises(CheckpointError, match="has format 99, this cnntrain reads up to 1"):
        load(target)


class Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_no_code_is_run(tmp_path: Path) -> None:
    marker, target = tmp_path / "ran", tmp_path / "evil.pt"
    torch.save({"model": Payload(marker)}, target)
    with pytest.raises(CheckpointError, match="holds more than plain values and tensors"):
        load(target)
    torch.save({"model": Payload(marker)}, target, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match="can run code"):
        load(target)
    target.write_bytes(pickle.dumps(Payload(marker)))
    with pytest.raises(CheckpointError, match="can run code"):
        load(target)
    assert not marker.exists()


def test_a_compressed_bomb_is_refused_unread(tmp_path: Path) -> None:
    target = tmp_path / "bomb.pt"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", bytes(10_000_000))
    with pytest.raises(CheckpointError, match="do not have the sizes they state"):
        load(target)


def test_records_that_overlap_are_refused_unread(tmp_path: Path) -> None:
    """A small file whose records, each in order by itself, together state far more than it has."""
    target = tmp_path / "bomb.pt"
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("bomb/data.pkl", bytes(1000))
        archive.filelist += archive.filelist * 9
    with pytest.raises(CheckpointError, match="do not have the sizes they state"):
        load(target)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.float64(1.0), r"state\['a'\]\[1\]\['b'\] is a numpy.float64"),
        (Path("x"), "PosixPath"),
        (torch.nn.Parameter(torch.ones(1)), "Parameter"),
        ({(1, 2): 3}, r"has the key \(1, 2\)"),
        (torch.ones(1, device="meta"), "without plain content"),
    ],
)
def test_only_plain_values_are_saved(path: Path, value: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        save(path, {"a": [0, {"b": value}]})
    assert equal(load(path), make_state())


def test_a_window_into_a_large_tensor_is_saved_alone(tmp_path: Path) -> None:
    save(tmp_path / LAST, {"w": torch.zeros(1_000_000)[:3]})
    assert (tmp_path / LAST).stat().st_size < 10_000


class Full:
    """An open file on a disk that takes only so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.open = Path.open

    def __call__(self, path: Path, mode: str = "r"):
        file = self.open(path, mode)
        if "w" in mode:
            write = file.write

            def limited(content: bytes) -> int:
                self.room -= len(content)
                if self.room < 0:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return write(content)

            return Proxy(file, limited)
        return file


class Proxy:
    def __init__(self, file, write) -> None:
        self.file, self.write = file, write

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


@pytest.mark.parametrize("room", [0, 100, 1000, 2000, 3000, 4000])
def test_a_disk_that_fills_up_leaves_the_old_file(path: Path, monkeypatch, room: int) -> None:
    full = Full(room)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda self, mode="r": full(self, mode))
        with pytest.raises(DiskError, match=r"last\.pt: .*\d kB needed, .*B free\)") as caught:
            save(path, make_state(1), previous=path.with_name(PREVIOUS))
    assert caught.value.exit_code == 7
    assert [p.name for p in path.parent.iterdir()] == [LAST]
    assert equal(load(path), make_state(0))


@pytest.mark.parametrize("step", ["fsync", "replace", "verify"])
def test_an_error_at_any_step_leaves_the_old_file(path: Path, monkeypatch, step: str) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        if step == "fsync":
            patch.setattr(os, "fsync", fail)
        elif step == "replace":
            patch.setattr(Path, "replace", fail)
        else:
            problem = archive_module.Damage("is damaged")
            patch.setattr(store_module, "damage", lambda _path: problem)
        with pytest.raises(DiskError):
            save(path, make_state(1))
    assert [p.name for p in path.parent.iterdir()] == [LAST]
    assert equal(load(path), make_state(0))


def test_space_is_looked_at_first(path: Path, monkeypatch) -> None:
    usage = shutil.disk_usage(path)._replace(free=1_100_000)
    monkeypatch.setattr(atomic_module.shutil, "disk_usage", lambda _folder: usage)
    with pytest.raises(
        DiskError, match=r"4\.\d MB and a reserve of 1\.0 MB .* needed, 1\.1 MB free"
    ):
        save(path, {"w": torch.zeros(1_000_000)})
    assert equal(load(path), make_state())


def test_order_of_writing(path: Path, monkeypatch) -> None:
    """fsync the file before it takes its name, fsync the folder after."""
    calls: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def spy_fsync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}")
        calls.append(f"fsync {name.resolve().name}" if name.exists() else "fsync")
        fsync(descriptor)

    def spy_replace(self: Path, target: Path) -> Path:
        calls.append(f"replace {self.name} {target.name}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(Path, "replace", spy_replace)
    save(path, make_state(1), previous=path.with_name(PREVIOUS))
    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc to name the files by")
    assert calls == [
        "fsync last.pt.tmp",
        "replace previous.pt.tmp previous.pt",
        "replace last.pt.tmp last.pt",
        f"fsync {path.parent.name}",
    ]
