"""Nothing but batches of images that are in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torchvision import datasets, transforms

from benching import peers
from benching.row import Row, row
from benching.setting import Setting
from benching.subsets import linked
from benching.training import in_words
from benching.turns import Seconds, in_turns, times_as_fast
from cnntrain.data.loaders import open_data

PIL = "torchvision, PIL image by image, DataLoader"
FAST, SLOW = 40, 4
"""Batches in a turn; of loaders that read image by image."""


def small_images(setting: Setting) -> Iterator[Row]:
    """B4: MNIST, and CIFAR-10 with crops and flips, from memory."""
    root = setting.folder("MNIST/raw").parents[1]
    mnist = open_data("mnist", parameters={"root": str(root)}, channels_last=True)
    steps = [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
    images = datasets.MNIST(root, train=True, transform=transforms.Compose(steps))
    yield from _rows("B4", "MNIST, batches of 64: the loader", mnist.train, images, batch=64,
                     target=60.0, rounds=setting.rounds)  # fmt: skip
    folder = linked(setting.folder("cifar10") / "train", setting.scratch / "cifar", per_class=400)
    augment = (("random_crop", {"size": 32, "padding": 4}), ("horizontal_flip", {}))
    cifar = open_data(
        "image_folder",
        parameters={"root": str(folder)},
        batch_size=128,
        train_transforms=(*augment, ("normalize", {})),
        channels_last=True,
    )
    yield from _rows("B4", "CIFAR-10, crop and flip, batches of 128: the loader", cifar.train,
                     _cifar(folder), batch=128, target=15.0, rounds=setting.rounds)  # fmt: skip


def _cifar(folder: Path) -> datasets.ImageFolder:
    steps: list[Any] = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    steps += [transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.25,) * 3)]
    return datasets.ImageFolder(str(folder / "train"), transforms.Compose(steps))


def _rows(
    figure: str,
    job: str,
    ours: Any,
    images: torch.utils.data.Dataset[Any],
    *,
    batch: int,
    target: float,
    rounds: int,
) -> Iterator[Row]:
    loader = torch.utils.data.DataLoader(images, batch_size=batch, shuffle=True)
    ways = {"ours": turn(epochs(ours), FAST), PIL: turn(peers.for_ever(loader), SLOW)}
    taken = in_turns(ways, rounds=2 * rounds)
    each = {
        name: [seconds.over(batch * (FAST if name == "ours" else SLOW)) for seconds in found]
        for name, found in taken.items()
    }
    yield row(figure, job, PIL, times_as_fast(each["ours"], each[PIL]),
              target=target, ours=rate(each["ours"]), theirs=rate(each[PIL]))  # fmt: skip


def turn(batches: Iterable[Any], count: int) -> Callable[[], None]:
    """Takes so many batches."""
    stream = iter(batches)

    def take() -> None:
        for _ in range(count):
            next(stream)

    return take


def rate(seconds: list[Seconds]) -> str:
    """Images per CPU second, from the seconds of one."""
    return in_words(1 / sorted(each.cpu for each in seconds)[len(seconds) // 2])


def epochs(loader: Any) -> Iterator[Any]:
    """The batches of our loader, epoch after epoch."""
    epoch = 0
    while True:
        epoch += 1
        yield from loader.batches(epoch)
