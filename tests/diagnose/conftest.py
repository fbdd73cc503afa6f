"""Small networks and images on which a fault can be planted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from cnntrain.data.batch import Batch
from cnntrain.optim import parameter_groups
from cnntrain.optim.optimizers.sgd import sgd
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.train import Recipe
from cnntrain.train.briefly import Method

CLASSES = 4
SHAPE = (1, 8, 8)


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def blobs(count: int, *, seed: int = 0, noise: float = 0.7) -> Batch:
    """One smooth pattern a class, under noise: mean 0, deviation about 1."""
    patterns = torch.randn(CLASSES, *SHAPE, generator=torch.Generator().manual_seed(99))
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(count) % CLASSES
    images = patterns[targets] + noise * torch.randn(count, *SHAPE, generator=generator)
    return Batch(images, targets)


@pytest.fixture
def batches() -> list[Batch]:
    return [blobs(16, seed=seed) for seed in range(30)]


@pytest.fixture
def many() -> Batch:
    return blobs(128)


@pytest.fixture(name="convnet")
def _convnet() -> Callable[..., nn.Sequential]:
    return convnet


@pytest.fixture(name="method")
def _method() -> Callable[..., Method]:
    return method


@pytest.fixture(name="twisted")
def _twisted() -> Callable[[Tensor], Tensor]:
    """The identity, whose backward pass changes the sign."""
    return Twisted.apply


@pytest.fixture
def twist() -> type[nn.Module]:
    """The same as a layer."""
    return Twist


def convnet(activation: Callable[[], nn.Module] = nn.ReLU, **layers: nn.Module) -> nn.Sequential:
    """Convolution, normalisation, activation, pooling, two linear layers; some replaced."""
    net = nn.Sequential()
    standard = {
        "conv1": nn.Conv2d(1, 6, 3, padding=1),
        "norm1": nn.BatchNorm2d(6),
        "act1": activation(),
        "pool1": nn.MaxPool2d(2),
        "flatten": nn.Flatten(),
        "fc1": nn.Linear(96, 16),
        "act2": activation(),
        "output": nn.Linear(16, CLASSES),
    }
    for name, module in {**standard, **layers}.items():
        net.add_module(name, module)
    return net


def method(lr: float = 0.05, **changes: Any) -> Method:
    """SGD with momentum on the cross entropy."""
    decay = changes.pop("weight_decay", 0.0)
    momentum = changes.pop("momentum", 0.9)
    criterion = changes.pop("criterion", CrossEntropy())
    return Method(
        lambda net: sgd(groups=parameter_groups(net, weight_decay=decay), momentum=momentum),
        criterion,
        Recipe(epochs=1, lr=lr, norm_every=0, **changes),
    )


class Twisted(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return -gradient


class Twist(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = Twisted.apply(x)
        return result


@pytest.fixture
def numbers_file(run_file: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """Writes a run file of 240 images of 8 x 8 pixels with a bright column, whose place is `x`.

    Of `numbers_file(changes, number=lambda x: 100 * x)` the table has other numbers.
    """

    def write(
        changes: Mapping[str, Any] | None = None,
        *,
        number: Callable[[float], float] = float,
        name: str = "numbers",
    ) -> Path:
        draws = np.random.default_rng(0)
        folder = tmp_path / name
        folder.mkdir()
        rows = ["path,x"]
        for place in range(240):
            x = int(draws.integers(8))
            pixels = draws.integers(60, size=(8, 8))
            pixels[:, x] += 120
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{place}.png")
            rows.append(f"{place}.png,{number(float(x))}")
        (folder / "table.csv").write_text("\n".join(rows))
        ready = [{"resize": {"size": [8, 8]}}, "normalize"]
        layers = [{"conv": {"out": 4, "kernel": 3}}, "relu", "flatten", {"linear": {"out": 16}}]
        own: dict[str, Any] = {
            "data": {
                "name": "csv",
                "file": str(folder / "table.csv"),
                "channels": 1,
                "number_columns": ["x"],
                "split": {"validation": 60, "test": 20},
                "batch_size": 16,
                "transforms": {"train": ready, "eval": ready},
            },
            "task": {"name": "regression"},
            "arch": {"layers": [*layers, "relu", {"linear": {"out": "$num_classes"}}]},
            "train": {"epochs": 20, "optimizer": {"name": "adam", "lr": 0.01}},
        }
        return run_file({**own, **(changes or {})}, name=name)

    return write
