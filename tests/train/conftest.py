"""A small network and an in-memory loader that share nothing with the package's own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn

from cnntrain.data.batch import Batch
from cnntrain.optim import parameter_groups
from cnntrain.optim.optimizers.sgd import sgd
from cnntrain.optim.schedules.cosine import cosine
from cnntrain.optim.schedules.plateau import Plateau
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.train import EarlyStop, Ema, Learner, Precision, Recipe

CLASSES = 4


@dataclass
class FakeLoader:
    """Order and noise are functions of (seed, epoch, batch), as the protocol asks."""

    images: Tensor
    targets: Tensor
    batch_size: int = 8
    shuffle: bool = True
    changes: dict[tuple[int, int], Callable[[Tensor], Tensor]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return len(self.targets)

    @property
    def batches_per_epoch(self) -> int:
        return -(-self.size // self.batch_size)

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(1000 + epoch)
        order = torch.randperm(self.size, generator=generator)
        order = order if self.shuffle else torch.arange(self.size)
        for number in range(start, self.batches_per_epoch):
            rows = order[number * self.batch_size : (number + 1) * self.batch_size]
            images = self.images[rows]
            if self.shuffle:
                noise = torch.Generator().manual_seed(epoch * 100 + number)
                images = images + 0.1 * torch.randn(images.shape, generator=noise)
            change = self.changes.get((epoch, number), lambda x: x)
            yield Batch(change(images), self.targets[rows])


def build_net(*, dropout: float = 0.3, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    net = nn.Sequential()
    net.add_module("conv1", nn.Conv2d(1, 4, 3, padding=1, bias=False))
    net.add_module("norm1", nn.BatchNorm2d(4))
    net.add_module("relu1", nn.ReLU())
    net.add_module("pool1", nn.MaxPool2d(2))
    net.add_module("flatten1", nn.Flatten())
    net.add_module("dropout1", nn.Dropout(dropout))
    net.add_module("fc1", nn.Linear(4 * 3 * 3, CLASSES))
    return net


def build_data(count: int, *, seed: int = 1) -> FakeLoader:
    """Images (count, 1, 6, 6) of noise with a bright row at the class's place."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, CLASSES, (count,), generator=generator)
    images = torch.randn(count, 1, 6, 6, generator=generator)
    images[torch.arange(count), 0, targets] += 1.5
    return FakeLoader(images, targets)


@dataclass
class Setup:
    """A learner with everything on, and what `train` needs besides."""

    learner: Learner
    recipe: Recipe
    loader: FakeLoader
    validation: FakeLoader
    criterion: CrossEntropy

    @property
    def arguments(self) -> dict[str, object]:
        names = ("recipe", "criterion", "loader", "validation")
        return {name: getattr(self, name) for name in names}


def build_setup(*, epochs: int = 4, precision: Precision = "float32", accumulate: int = 1) -> Setup:
    net = build_net()
    optimizer = sgd(groups=parameter_groups(net, weight_decay=1e-3), momentum=0.9)
    learner = Learner(net, optimizer, ema=Ema(net, decay=0.9), precision=precision)
    recipe = Recipe(
        epochs=epochs,
        lr=0.1,
        schedule=cosine(total_steps=4 * 5),
        plateau=Plateau(patience=1),
        early_stop=EarlyStop(patience=50),
        accumulate=accumulate,
        clip_norm=1.0,
        l1=1e-4,
    )
    loader, validation = build_data(37), build_data(21, seed=2)
    validation.shuffle = False
    return Setup(learner, recipe, loader, validation, CrossEntropy(label_smoothing=0.1))


@pytest.fixture
def make_net() -> Callable[..., nn.Sequential]:
    return build_net


@pytest.fixture
def make_data() -> Callable[..., FakeLoader]:
    return build_data


@pytest.fixture
def make_setup() -> Callable[..., Setup]:
    return build_setup


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
