"""One network's weights in the forms in which programs save them: all give the same logits.

The network is small, its weights are random numbers that float16 has, too, and what is expected are
the logits of the weights as they are, put into the network by torch's `load_state_dict`.
"""

from __future__ import annotations

import argparse
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from cnntrain.assemble.build_network import build
from cnntrain.checkpoint.stand_ins import STAND_INS, Unused
from cnntrain.checkpoint.torch_files import read_foreign_file
from cnntrain.core.errors import CheckpointError, ConfigError
from cnntrain.model.opening import open_model

ARCH = {
    "layers": [
        {"conv": {"out": 4, "kernel": 3, "bias": False}},
        "batch_norm",
        "relu",
        "global_avg_pool",
        {"linear": {"out": "$num_classes"}, "as": "output"},
    ]
}
NUMBERS = {"normalize": {"mean": [0.5], "std": [0.25]}}
IMAGES = torch.linspace(0, 1, 2 * 12 * 12).reshape(2, 1, 12, 12)


def fresh(seed: int) -> nn.Module:
    """The network with random weights and running statistics."""
    net: nn.Module = build(ARCH, image_size=12, image_channels=1, num_classes=3)
    generator = torch.Generator().manual_seed(seed)
    for value in net.state_dict().values():
        if value.is_floating_point():
            numbers = torch.rand(value.shape, generator=generator) + 0.5
            value.copy_(numbers.half())
    return net.eval()


def prefixed(prefix: str) -> Callable[[dict[str, Tensor]], dict[str, Any]]:
    return lambda weights: {prefix + name: value for name, value in weights.items()}


def lightning(weights: dict[str, Tensor]) -> dict[str, Any]:
    return {
        "epoch": 3,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": OrderedDict({**prefixed("model.")(weights), "criterion.weight": OTHER}),
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_score": OTHER}},
        "hyper_parameters": {"lr": np.float64(0.1), "args": argparse.Namespace(depth=20)},
        "optimizer_states": [{"state": {0: {"momentum_buffer": OTHER}}}],
    }


def averaged(weights: dict[str, Tensor]) -> dict[str, Any]:
    """torchvision's reference program: its average is the only one that a file is reduced to."""
    net = fresh(1)
    net.load_state_dict(weights)
    return {"model_ema": AveragedModel(net).state_dict(), "epoch": 3}  # has n_averaged, too


OTHER = torch.zeros(3)
FORMS: dict[str, tuple[Callable[[dict[str, Tensor]], Any], str]] = {
    "plain": (dict, ""),
    "DataParallel": (prefixed("module."), "names without 'module.'"),
    "compiled": (prefixed("_orig_mod."), "names without '_orig_mod.'"),
    "compiled around parallel": (
        prefixed("_orig_mod.module."),
        "names without '_orig_mod.module.'",
    ),
    "parallel around compiled": (
        prefixed("module._orig_mod."),
        "names without 'module._orig_mod.'",
    ),
    "deep": (
        prefixed("net.module.backbone._orig_mod."),
        "names without 'net.module.backbone._orig_mod.'",
    ),
    "cifar": (lambda w: {"net": w, "acc": 91.7, "epoch": 3}, "'net'"),
    "cifar, parallel": (
        lambda w: {"net": prefixed("module.")(w), "acc": 91.7},
        "'net', names without 'module.'",
    ),
    "score of numpy's": (
        lambda w: {"state_dict": w, "best": np.float64(91.7), "at": np.arange(3)},
        "'state_dict'",
    ),
    "arguments": (
        lambda w: {"model": w, "args": argparse.Namespace(lr=0.1, out=Path("/tmp"))},
        "'model'",
    ),
    "Lightning": (lightning, "'state_dict', names without 'model.'"),
    "nested": (lambda w: {"model": {"model_state_dict": w}}, "'model.model_state_dict'"),
    "an average only": (averaged, "'model_ema', names without 'module.'"),
    "an average beside": (
        lambda w: {"state_dict": w, "state_dict_ema": dict(fresh(1).state_dict())},
        "'state_dict', not 'state_dict_ema' (finetune.weights.entry: state_dict_ema)",
    ),
    "half precision": (
        lambda w: {name: v.half() if v.is_floating_point() else v for name, v in w.items()},
        "",
    ),
}


@pytest.fixture(scope="module")
def net() -> nn.Module:
    return fresh(0)


@pytest.fixture
def opened(
    tmp_path: Path, run_file: Callable[..., Path]
) -> Callable[..., tuple[Tensor, tuple[str, ...]]]:
    """`opened(file, entry=...)`: the logits of the network with a file's weights, and notes."""

    def logits(file: Path, **more: str) -> tuple[Tensor, tuple[str, ...]]:
        weights = {"file": str(file), **more}
        changes = {"arch": ARCH, "finetune": {"weights": weights}, "data.transforms": PREPARED}
        model = open_model(run_file({**changes, "compute.channels_last": False}))
        with torch.no_grad():
            return model.net(IMAGES), model.loaded.notes

    return logits


PREPARED = {"train": [NUMBERS], "eval": [NUMBERS]}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_all_forms_give_the_same_logits(
    net: nn.Module, opened: Callable[..., Any], tmp_path: Path, form: str, old: bool
) -> None:
    make, says = FORMS[form]
    file = tmp_path / "weights.any"
    torch.save(make(dict(net.state_dict())), file, _use_new_zipfile_serialization=not old)
    found, notes = opened(file)
    with torch.no_grad():
        assert torch.equal(found, net(IMAGES))
    assert notes == ((f"{file}: read {says}",) if says else ())


@pytest.mark.parametrize("name", ["weights.safetensors", "pytorch_model.bin", "weights"])
def test_safetensors_under_any_name(
    net: nn.Module, opened: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    save_file(prefixed("module.")(dict(net.state_dict())), tmp_path / name)
    found, notes = opened(tmp_path / name)
    with torch.no_grad():
        assert torch.equal(found, net(IMAGES))
    assert notes == (f"{tmp_path / name}: read names without 'module.'",)


def test_a_torch_file_that_is_called_safetensors(
    net: nn.Module, opened: Callable[..., Any], tmp_path: Path
) -> None:
    torch.save(net.state_dict(), tmp_path / "weights.safetensors")
    with torch.no_grad():
        assert torch.equal(opened(tmp_path / "weights.safetensors")[0], net(IMAGES))


@pytest.mark.parametrize("entry", ["teacher", "model_ema", "both.model_ema"])
def test_the_entry_that_is_named(
    net: nn.Module, opened: Callable[..., Any], tmp_path: Path, entry: str
) -> None:
    wanted, other = dict(net.state_dict()), dict(fresh(1).state_dict())
    state = {"model": other, "both": {"model": other, "model_ema": wanted}, "x": other}
    torch.save({**state, "model_ema": wanted, "teacher": {"state_dict": wanted}}, tmp_path / "f")
    found, notes = opened(tmp_path / "f", entry=entry)
    with torch.no_grad():
        assert torch.equal(found, net(IMAGES))
    assert notes[0].endswith(f"read '{entry}'" if entry != "teacher" else "'teacher.state_dict'")


def test_an_entry_that_is_not_there(
    net: nn.Module, opened: Callable[..., Any], tmp_path: Path, run_file: Callable[..., Path]
) -> None:
    torch.save({"generator": net.state_dict(), "epoch": 3}, tmp_path / "f")
    with pytest.raises(CheckpointError, match=r"has no entry 'generater'; there are: generator, e"):
        opened(tmp_path / "f", entry="generater")
    with pytest.raises(CheckpointError, match=r"; set finetune\.weights\.entry: generator"):
        opened(tmp_path / "f")
    save_file(dict(net.state_dict()), tmp_path / "s")
    with pytest.raises(CheckpointError, match="is a safetensors file, which has no entries"):
        opened(tmp_path / "s", entry="model")
    finetune = {"weights": {"run": "runs/first", "entry": "model"}}
    with pytest.raises(ConfigError, match="'entry' has no effect without hub or file"):
        open_model(run_file({"finetune": finetune}))


class Calls:
    """What a pickle can do when it is read: call any function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


class Settings:
    """A class of another program's."""


def from_state(path: Path) -> Any:
    """A class that is let through, given a state that would be called if it were a real one."""
    return argparse.Namespace(__setstate__=Calls(os.mkdir, str(path)))


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda path: Calls(os.mkdir, str(path)), "posix.mkdir"),
        (lambda path: Calls(eval, f"open({str(path)!r}, 'w')"), "eval"),
        (from_state, "posix.mkdir"),
        (lambda path: Settings(), "Settings"),
        (lambda path: np.random.default_rng(0), "numpy.random"),
    ],
)
def test_what_is_not_let_through_is_named(
    tmp_path: Path, opened: Callable[..., Any], make: Callable[[Path], Any], name: str, old: bool
) -> None:
    touched, file = tmp_path / "touched", tmp_path / "f.pth"
    content = {"state_dict": fresh(0).state_dict(), "extra": make(touched)}
    torch.save(content, file, _use_new_zipfile_serialization=not old)
    with pytest.raises(CheckpointError, match="holds more than plain values and tensors") as caught:
        opened(file)
    says = str(caught.value)
    assert name in says
    assert "\x1b" not in says
    assert not touched.exists()


def test_what_is_let_through_is_not_run_either(net: nn.Module, tmp_path: Path) -> None:
    """Names in the list are read as objects that do nothing, whatever they are given."""
    state = {"path": Path("/tmp"), "number": np.float32(1), "arguments": argparse.Namespace(a=1)}
    torch.save(state, tmp_path / "f")
    before = set(torch.serialization.get_safe_globals())  # torch keeps them without an order
    assert {type(value) for value in read_foreign_file(tmp_path / "f").values()} == {Unused}
    assert {made for made, _ in STAND_INS} == {Unused}  # type: ignore[misc]  # all are pairs
    assert set(torch.serialization.get_safe_globals()) == before


def arrays(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, a=np.zeros(3))


def array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (arrays, r"holds arrays of NumPy's \(.npz"),
        (array, "is an array of NumPy's"),
        (lambda path: torch.save([torch.zeros(3)], path), "holds a list, not a dictionary"),
        (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100)), "is an HDF5 file"),
        (lambda path: path.write_text("\n<!DOCTYPE html>"), "is a web page, not weights"),
        (lambda path: path.write_text("version https://git-lfs.github.com"), "git lfs pull"),
        (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "is a pickle or a torch file"),
        (lambda path: path.write_bytes(b"PK\x03\x04 and no more"), "is damaged or cut short"),
        (lambda path: path.write_bytes(bytes(100)), "is not a file of weights"),
    ],
)
def test_other_files_are_named(
    opened: Callable[..., Any], tmp_path: Path, write: Callable[[Path], Any], says: str
) -> None:
    path = tmp_path / "f.pth"
    write(path)
    with pytest.raises(CheckpointError, match=says) as caught:
        opened(path)
    assert "checkpoint" not in str(caught.value).replace("checkpoint of cnntrain", "")
    assert "previous.pt" not in str(caught.value)


def test_a_mapping_inside_of_itself_ends(tmp_path: Path, opened: Callable[..., Any]) -> None:
    endless: dict[str, Any] = {"epoch": 3}
    endless["model"] = endless
    torch.save(endless, tmp_path / "f")
    with pytest.raises(CheckpointError, match="holds no weights by name"):
        opened(tmp_path / "f")


def test_names_of_two_networks(net: nn.Module, opened: Callable[..., Any], tmp_path: Path) -> None:
    """A teacher and its student: the reading in which most names are known wins."""
    state: Mapping[str, Tensor] = {
        **prefixed("model.")(dict(net.state_dict())),
        "module.output.weight": torch.zeros(3, 4),
    }
    torch.save(state, tmp_path / "f")
    found, notes = opened(tmp_path / "f")
    with torch.no_grad():
        assert torch.equal(found, net(IMAGES))
    assert notes == (f"{tmp_path / 'f'}: read names without 'model.'",)
