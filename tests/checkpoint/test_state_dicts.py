"""Weights in other programs' files: what is written comes back, and no code is run."""

from __future__ import annotations

import errno
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from cnntrain.checkpoint import save, state_dicts
from cnntrain.checkpoint.state_dicts import read_metadata, read_weights
from cnntrain.core.errors import CheckpointError


@pytest.fixture
def weights() -> dict[str, Tensor]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    return dict(net.state_dict())


def plain(weights: dict[str, Tensor], path: Path) -> None:
    torch.save(weights, path)


def old_format(weights: dict[str, Tensor], path: Path) -> None:
    torch.save(weights, path, _use_new_zipfile_serialization=False)


def wrapped(weights: dict[str, Tensor], path: Path) -> None:
    torch.save({"epoch": 3, "best": torch.tensor(0.5), "state_dict": weights}, path)


def wrapped_twice(weights: dict[str, Tensor], path: Path) -> None:
    torch.save({"model": {"model_state_dict": weights, "name": "net"}, "optimizer": {}}, path)


def with_an_epoch(weights: dict[str, Tensor], path: Path) -> None:
    torch.save({**weights, "epoch": 3}, path)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".th"])
@pytest.mark.parametrize("write", [plain, old_format, wrapped, wrapped_twice, with_an_epoch])
def test_torch_files(
    weights: dict[str, Tensor], tmp_path: Path, write: Callable[..., None], suffix: str
) -> None:
    path = tmp_path / f"weights{suffix}"
    write(weights, path)
    assert_same(read_weights(path).tensors, weights)


def test_safetensors(weights: dict[str, Tensor], tmp_path: Path) -> None:
    save_file(weights, tmp_path / "weights.safetensors")
    assert_same(read_weights(tmp_path / "weights.safetensors").tensors, weights)


def assert_same(found: Mapping[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value)


class Touches:
    """What a pickle can do: this one makes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("form", ["zip", "old", "pickle"])
def test_code_is_never_run(tmp_path: Path, form: str) -> None:
    path, touched = tmp_path / "weights.pth", tmp_path / "touched"
    content = {"state_dict": {"weight": torch.zeros(2)}, "extra": Touches(touched)}
    if form == "pickle":
        path.write_bytes(pickle.dumps({"extra": Touches(touched)}))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    says = "can run code" if form == "pickle" else "holds more than plain values and tensors"
    with pytest.raises(CheckpointError, match=says) as caught:
        read_weights(path)
    assert not touched.exists()
    assert "state_dict" in str(caught.value)
    assert "\n" not in str(caught.value)
    # so this is what it would have done
    if form == "pickle":
        pickle.loads(path.read_bytes())
        assert touched.exists()


def whole_module(path: Path) -> None:
    torch.save(nn.Linear(2, 2), path)


def cut_short(path: Path) -> None:
    torch.save({"weight": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])


def cut_short_old(path: Path) -> None:
    torch.save({"weight": torch.zeros(1000)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:2000])


def one_bit(path: Path) -> None:
    torch.save({"weight": torch.zeros(1000)}, path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def numbers(path: Path) -> None:
    torch.save({"epoch": 3, "state_dict": {"accuracy": 0.5}}, path)


def tensor(path: Path) -> None:
    torch.save(torch.zeros(3), path)


def checkpoint(path: Path) -> None:
    save(path, {"model": {"weight": torch.zeros(3)}})


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (whole_module, "holds more than plain values and tensors"),
        (cut_short, "is damaged or cut short"),
        (cut_short_old, "is damaged, or holds more"),
        (one_bit, "the checksum of record"),
        (numbers, "holds no weights by name; its keys are: accuracy"),
        (tensor, "holds a Tensor, not a dictionary"),
        (checkpoint, "is a checkpoint of cnntrain; name it, or its run's folder, with `run:`"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (
            lambda path: path.write_text("weights"),
            "begins neither like torch's nor like safetensors",
        ),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: None, "does not exist"),
    ],
)
def test_what_holds_no_weights(tmp_path: Path, write: Callable[[Path], None], says: str) -> None:
    path = tmp_path / "weights.pth"
    write(path)
    with pytest.raises(CheckpointError, match=says) as caught:
        read_weights(path)
    assert str(path) in str(caught.value)
    assert caught.value.problems[0].remedy
    assert str(caught.value).isprintable()  # torch's own message has colour codes
    assert "of the run" not in str(caught.value)


def test_damaged_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"weight": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(CheckpointError, match="is damaged, or no safetensors file"):
        read_weights(path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_that_may_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = tmp_path / f"weights{suffix}"
    save_file({"weight": torch.zeros(3)}, path)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(state_dicts, "load_file", refuse)
    with pytest.raises(CheckpointError, match="cannot be read: Permission denied; make it read"):
        read_weights(path)


@pytest.mark.parametrize(
    "header",
    [
        b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[NaN,4]}}',
        b'{"w":{"dtype":"F32","shape":[1],"data_offsets":["0",4]}}',
        b'{"w":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}',
        b'{"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}',
        b'{"__metadata__":{"cnntrain":1}}',
        b'{"__metadata__":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[" * 100_000,
        b"[]",
        b"",
    ],
    ids=range(9),
)
def test_safetensors_with_another_header(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    for read in (read_metadata, read_weights):
        with pytest.raises(CheckpointError, match="is damaged, or no safetensors file"):
            read(path)
