"""What all tests share."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cnntrain.data import DATASETS, TRANSFORMS
from cnntrain.layers import LAYERS


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets that CNNTRAIN_DATA names."""
    root = os.environ.get("CNNTRAIN_DATA")
    if not root:
        pytest.skip("CNNTRAIN_DATA is not set: no real data on this machine")
    return Path(root)


@pytest.fixture(autouse=True)
def _no_plugins_of_other_tests() -> Iterator[None]:
    """What a test registers is gone after it."""
    yield
    for catalogue in (LAYERS, DATASETS, TRANSFORMS):
        catalogue.forget_plugins()


@pytest.fixture
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread, caches and runs of this test's own; the process's settings are put back."""
    import torch

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
            "validation": 24,
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
