"""What all tests share."""

import functools
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import typer.main
import yaml
from torch import Tensor, nn

from cnntrain.checkpoint import load as load_checkpoint
from cnntrain.config.load import load
from cnntrain.core import trust
from cnntrain.core.choices import CHOICES
from cnntrain.core.stderr import say
from cnntrain.data.batch import Batch, Loader
from cnntrain.fit.fit import Outcome, fit, resume
from cnntrain.fit.restart import fit_or_resume
from cnntrain.train import StepDone

SCRIPTS = Path(__file__).parents[1] / "scripts"

CLOCK = {"seconds", "data_seconds", "run_seconds"}
"""What a checkpoint holds of the wall clock: the only things that may differ."""


def pytest_configure(config: pytest.Config) -> None:
    """Parallel test processes compute in one thread each: they share the processors."""
    if config.getoption("numprocesses", None):
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_finish() -> None:
    """What is there by now stays: the collector of garbage need not look at it time and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets that CNNTRAIN_DATA names."""
    root = os.environ.get("CNNTRAIN_DATA")
    if not root:
        pytest.skip("CNNTRAIN_DATA is not set: no real data on this machine")
    return Path(root)


@pytest.fixture(autouse=True, scope="session")
def _quick() -> Iterator[None]:
    """What costs time again and again and shows nothing.

    No power cut is tried here, so nothing waits for a disk; and the command line is built once.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)  # a closed file is still an error
        patch.setattr(typer.main, "get_command", _built_once)
        yield


_built_once = functools.cache(typer.main.get_command)


@pytest.fixture(autouse=True, scope="session")
def _own_configuration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is written into the home of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("configuration")))
        yield


@pytest.fixture(autouse=True)
def _no_plugins_of_other_tests() -> Iterator[None]:
    """What a test registers is gone after it; what it has named is as in a new process."""
    yield
    if trust._NAMED:  # with commands of their own, perhaps
        _built_once.cache_clear()
    trust._NAMED.clear()
    for catalogue in CHOICES.values():
        catalogue.forget_plugins()


@pytest.fixture
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread, caches and runs of this test's own; the process's settings are put back."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    threads, benchmark = torch.get_num_threads(), torch.backends.cudnn.benchmark
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = False
    torch.backends.cudnn.benchmark = benchmark


def tiny() -> dict[str, Any]:
    """72 training images in 5 batches (the last of 8), dropout, batch norm and augmentation."""
    return {
        "arch": {
            "layers": [
                {"conv": {"out": 4, "kernel": 3, "padding": "same"}},
                "batch_norm",
                "relu",
                {"max_pool": {"kernel": 2}},
                "flatten",
                {"dropout": {"p": 0.3}},
                {"linear": {"out": "$num_classes"}, "as": "output"},
            ]
        },
        "data": {
            "name": "synthetic",
            "size": 8,
            "channels": 1,
            "classes": 3,
            "images": 96,
            "test_images": 30,
            "split": {"validation": 24},
            "batch_size": 16,
            "transforms": {
                "train": [{"affine": {"translate": 0.1}}, "normalize"],
                "eval": ["normalize"],
            },
        },
        "train": {
            "epochs": 4,
            "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3},
        },
        "record": {"every": 1, "tensorboard": False},
    }


def put(tree: dict[str, Any], key: str, value: Any) -> None:
    """Set `a.b.c` in nested mappings."""
    *around, last = key.split(".")
    for name in around:
        tree = tree.setdefault(name, {})
    tree[last] = value


@pytest.fixture
def run_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes the tiny run file with some keys changed: `run_file({"train.epochs": 2})`."""

    def write(changes: dict[str, Any] | None = None, *, name: str = "tiny") -> Path:
        tree = tiny()
        for key, value in (changes or {}).items():
            put(tree, key, value)
        file = tmp_path / f"{name}.yaml"
        file.write_text(yaml.safe_dump(tree, sort_keys=False))
        return file

    return write


class StopAt:
    """An observer that presses Ctrl-C at a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def observe(self, event: object) -> None:
        if isinstance(event, StepDone) and event.step == self.step:
            signal.raise_signal(signal.SIGINT)

    def close(self) -> None:
        pass


@pytest.fixture
def train_tiny() -> Callable[..., Outcome]:
    """`train_tiny(file, out=..., stop=7)` trains; `train_tiny(resumed=folder)` goes on.

    With `auto` the file's run is continued where it was cut off, as by `--resume auto`.
    """

    def start(
        file: Path | None = None,
        *,
        resumed: Path | None = None,
        out: Path | None = None,
        stop: int | None = None,
        overrides: Sequence[str] = (),
        quiet: bool = True,
        auto: bool = False,
    ) -> Outcome:
        observers = [] if stop is None else [StopAt(stop)]
        if resumed is not None:
            torch.manual_seed(99)  # another process would not be where this one is
            return resume(resumed, overrides=overrides, quiet=quiet, observers=observers)
        assert file is not None
        loaded = load(file, overrides)
        if auto:
            return fit_or_resume(loaded, out=out, observers=observers, tell=say)
        return fit(loaded, out=out, overrides=overrides, quiet=quiet, observers=observers)

    return start


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value of a checkpoint with its path, the clock's left out."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    elif path[-1] not in CLOCK:
        yield path, value


def same(first: Any, second: Any) -> bool:
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return first.dtype == second.dtype and torch.equal(first, second)
    return type(first) is type(second) and first == second


@pytest.fixture
def differences() -> Callable[[Path, Path], list[str]]:
    """The paths of the values in which two checkpoint files differ, bit for bit."""

    def compare(first: Path, second: Path) -> list[str]:
        ours = dict(leaves(load_checkpoint(first)))
        theirs = dict(leaves(load_checkpoint(second)))
        assert any(isinstance(value, Tensor) for value in ours.values())
        different = [p for p in ours.keys() & theirs.keys() if not same(ours[p], theirs[p])]
        return sorted(".".join(map(str, p)) for p in [*different, *(ours.keys() ^ theirs.keys())])

    return compare


class Batches:
    """Images in stored order, `batch_size` at a time."""

    def __init__(self, images: Tensor, targets: Tensor, batch_size: int) -> None:
        self.size = len(images)
        self._parts = list(zip(images.split(batch_size), targets.split(batch_size), strict=True))
        self.batches_per_epoch = len(self._parts)

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        for images, targets in self._parts[start:]:
            yield Batch(images, targets)


@pytest.fixture
def batches() -> Callable[..., Loader]:
    """`batches(images, targets=None, size=3)`."""

    def make(images: Tensor, targets: Tensor | None = None, size: int = 3) -> Loader:
        given = torch.zeros(len(images), dtype=torch.int64) if targets is None else targets
        return Batches(images, given, size)

    return make


def _saved_bytes(net: nn.Module, images: Tensor) -> int:
    """All memory that the forward pass leaves, each piece once, without weights and images."""
    fixed = {t.untyped_storage()._cdata for t in (*net.parameters(), *net.buffers(), images)}
    sizes: dict[int, int] = {}
    alive: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        alive.append(tensor)
        memory = tensor.untyped_storage()
        if memory._cdata not in fixed:
            sizes[memory._cdata] = memory.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        alive.append(net.train()(images))
    return sum(sizes.values())


@pytest.fixture
def saved_bytes() -> Callable[[nn.Module, Tensor], int]:
    """`saved_bytes(net, images)`: what torch's autograd saves, as `activation_bytes` counts it."""
    return _saved_bytes


@pytest.fixture
def script() -> Callable[[str], ModuleType]:
    """`script(name)`: a file of scripts/ as a module; it runs nothing by itself."""

    def loaded(name: str) -> ModuleType:
        loader = SourceFileLoader(name, str(SCRIPTS / name))
        spec = spec_from_loader(loader.name, loader)
        assert spec is not None
        module = module_from_spec(spec)
        with pytest.MonkeyPatch.context() as patch:  # a dataclass looks its module up
            patch.setitem(sys.modules, loader.name, module)
            loader.exec_module(module)
        return module

    return loaded
