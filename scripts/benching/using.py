"""A trained network in use: evaluation and prediction."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms

import cnntrain
from benching import nets
from benching.loaders import rate
from benching.row import Row, row
from benching.setting import Setting
from benching.subsets import ONE_SIZE, linked
from benching.turns import in_turns, times_as_fast
from cnntrain.assemble.prepare import prepare
from cnntrain.config import shipped
from cnntrain.config.load import load
from cnntrain.config.loaded import Loaded
from cnntrain.data.batch import Loader
from cnntrain.train import evaluate

BARE = "bare loop over ready batches: outputs, loss, hits"
PIL = "bare loop: PIL file by file, batches of 256, softmax, top 5"
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


def evaluation(setting: Setting) -> Iterator[Row]:
    """LeNet-5 on MNIST's test images, ResNet-20 on 640 of CIFAR-10's."""
    setting.folder("MNIST/raw")
    lenet = load(shipped.resolve("lenet5"), [f"data.root={setting.data}"])
    yield from _evaluation("LeNet-5, 10,000 images: evaluation", lenet, nets.lenet5(), setting)
    root = linked(setting.folder("cifar10") / "train", setting.scratch / "cifar", per_class=64)
    given = ["data.name=image_folder", f"data.root={root}", "data.split.validation=false"]
    given += [ONE_SIZE, "data.split.test=0.5"]
    resnet = load(shipped.resolve("resnet20_cifar10"), given)
    yield from _evaluation("ResNet-20, 320 images: evaluation", resnet, nets.resnet20(), setting)


def _evaluation(job: str, loaded: Loaded, net: nn.Module, setting: Setting) -> Iterator[Row]:
    prepared = prepare(loaded)
    test: Loader | None = prepared.data.test
    assert test is not None
    ready = list(test.batches(1))
    net = net.to(memory_format=torch.channels_last).eval()
    criterion = nn.CrossEntropyLoss()

    @torch.inference_mode()
    def bare() -> tuple[float, int]:
        loss, hits = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        for images, targets in ready:
            outputs = net(images)
            loss += criterion(outputs, targets) * len(targets)
            hits += (outputs.argmax(1) == targets).sum()
        return float(loss), int(hits)

    def ours() -> None:
        evaluate(
            prepared.learner.evaluated,
            test,
            criterion=prepared.criterion,
            task=prepared.learner.task,
        )

    taken = in_turns({"ours": ours, BARE: bare}, rounds=2 * setting.rounds)
    each = {name: [found.over(test.size) for found in seconds] for name, seconds in taken.items()}
    yield row("", job, BARE, times_as_fast(each["ours"], each[BARE]),
              ours=rate(each["ours"]), theirs=rate(each[BARE]),
              note="with confusion matrix and calibration")  # fmt: skip


def predict(setting: Setting) -> Iterator[Row]:
    """ResNet-20 over 1,000 files."""
    source = setting.folder("cifar10") / "train"
    root = linked(source, setting.scratch / "few", per_class=8)
    many = linked(source, setting.scratch / "many", per_class=100)
    changes = ["data.name=image_folder", f"data.root={root}", ONE_SIZE, "train.epochs=1"]
    changes += ["data.split.validation=false", "train.schedule={name: constant}"]
    model = cnntrain.fit("resnet20_cifar10", overrides=changes, quiet=True).model
    paths = sorted((many / "train").rglob("*.*"))
    net = nets.resnet20().to(memory_format=torch.channels_last).eval()
    steps = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])

    def read(path: Path) -> Tensor:
        with Image.open(path) as image:
            found: Tensor = steps(image.convert("RGB"))
        return found

    @torch.inference_mode()
    def bare() -> list[object]:
        found: list[object] = []
        for first in range(0, len(paths), 256):
            images = torch.stack([read(path) for path in paths[first : first + 256]])
            images = images.contiguous(memory_format=torch.channels_last)
            best = net(images).softmax(1).topk(5)
            found += zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return found

    taken = in_turns({"ours": lambda: model.predict(paths), PIL: bare}, rounds=setting.rounds)
    each = {name: [found.over(len(paths)) for found in seconds] for name, seconds in taken.items()}
    yield row("", f"ResNet-20, {len(paths):,} files: `predict`", PIL,
              times_as_fast(each["ours"], each[PIL]), ours=rate(each["ours"]),
              theirs=rate(each[PIL]))  # fmt: skip
