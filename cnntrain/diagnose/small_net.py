"""A small network that learns a few hundred images in seconds: what can be seen in them at all.

It is the doctor's own: whatever is wrong with the network, the loss or the recipe of a run file,
it sees the same images and labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnntrain.core.seeding import derive_seed
from cnntrain.data.stratify import stratified_split

SIDE = 32
"""Pixels a side at the most to which images are brought."""

STEPS, BATCH, RATE = 240, 64, 3e-3
"""Of its training: Adam, half a cosine down to 0."""


@dataclass(frozen=True)
class Confusions:
    """Counts `(classes, classes)` of true and given classes of images it was not trained on."""

    counts: Tensor

    @staticmethod
    def of(targets: Tensor, answers: Tensor, *, classes: int) -> Confusions:
        """From the true and the given class of each image, both `(N,)`."""
        counts = torch.bincount(targets * classes + answers, minlength=classes**2)
        return Confusions(counts.view(classes, classes).double())

    def __add__(self, other: Confusions) -> Confusions:
        """Of both."""
        return Confusions(self.counts + other.counts)

    @property
    def images(self) -> int:
        """How many."""
        return int(self.counts.sum())

    @property
    def accuracy(self) -> float:
        """Share that is right, the mean over the classes: it does not depend on their sizes."""
        sizes = self.counts.sum(dim=1)
        recalls = self.counts.diagonal()[sizes > 0] / sizes[sizes > 0]
        return float(recalls.mean()) if len(recalls) else 0.0

    @property
    def kappa(self) -> float:
        """Accuracy from that of guessing (0) to 1."""
        classes = max(2, int((self.counts.sum(dim=1) > 0).sum()))
        return (self.accuracy - 1 / classes) / (1 - 1 / classes)

    def recall(self, label: int) -> float:
        """Share of the images of a class that is right."""
        row = self.counts[label]
        return float(row[label] / row.sum().clamp_min(1))

    def answered(self, label: int) -> tuple[int, float]:
        """What is said most often of the images of a class, and the share of them."""
        row = self.counts[label]
        most = int(row.argmax())
        return most, float(row[most] / row.sum().clamp_min(1))


class SmallNet:
    """Three convolutions and a linear layer, trained on images that evaluation has prepared."""

    def __init__(
        self, images: Tensor, targets: Tensor, *, classes: int, steps: int = STEPS, seed: int = 0
    ) -> None:
        """Train on `images` `(N, C, H, W)` and class numbers `(N,)`, on the CPU.

        Targets `(N, classes)` are numbers that deviate by about 1; it learns their squared error.
        """
        prepared = reduced(images)
        mean, deviation = prepared.mean(dim=(0, 2, 3)), prepared.std(dim=(0, 2, 3))
        self._mean, self._deviation = mean[:, None, None], deviation[:, None, None].clamp_min(1e-6)
        self.classes = classes
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(derive_seed(seed, "small net"))
            self._net = _net(images.shape[1], classes, side=int(prepared.shape[-1]))
            self._learn(self._seen(prepared), targets, steps)
        self._net.eval()

    def _seen(self, prepared: Tensor) -> Tensor:
        return (prepared - self._mean) / self._deviation

    def _learn(self, images: Tensor, targets: Tensor, steps: int) -> None:
        optimizer = torch.optim.Adam(self._net.parameters(), lr=RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        order = torch.randperm(len(targets))
        for step in range(steps):
            places = torch.arange(step * BATCH, (step + 1) * BATCH) % len(order)
            chosen = order[places]
            optimizer.zero_grad()
            loss = F.cross_entropy if targets.ndim == 1 else F.mse_loss
            loss(self._net(images[chosen]), targets[chosen]).backward()  # type: ignore[no-untyped-call]  # torch's gap
            optimizer.step()
            schedule.step()

    @torch.no_grad()
    def outputs(self, images: Tensor) -> Tensor:
        """What it gives for each image, `(N, classes)`."""
        parts = torch.split(self._seen(reduced(images)), 256)
        return torch.cat([self._net(part) for part in parts])

    def shares(self, images: Tensor) -> Tensor:
        """How sure it is of each class, for each image, `(N, classes)`."""
        return self.outputs(images).softmax(dim=1)

    def answers(self, images: Tensor) -> Tensor:
        """The class of each image `(N,)`."""
        return self.shares(images).argmax(dim=1)

    def judged(self, images: Tensor, targets: Tensor) -> Confusions:
        """What it says of images whose classes are known."""
        return Confusions.of(targets, self.answers(images), classes=self.classes)


def teller(ours: Tensor, theirs: Tensor, *, generator: torch.Generator, seed: int) -> SmallNet:
    """A network taught to tell images of two kinds apart: 0 and 1 are its answers."""
    labels = torch.cat([torch.zeros(len(ours)), torch.ones(len(theirs))]).long()
    order = torch.randperm(len(labels), generator=generator)
    images = torch.cat([ours, theirs])[order]
    return SmallNet(images, labels[order], classes=2, steps=STEPS // 2, seed=seed)


@dataclass(frozen=True)
class PartTaught:
    """A small network, the places of the images that it learnt, and of those that it was asked."""

    net: SmallNet
    taught: Tensor
    kept: Tensor
    own: Confusions

    @staticmethod
    def of(
        images: Tensor, targets: Tensor, *, held_out: int, classes: int, seed: int
    ) -> PartTaught:
        """Taught all but so many images, of each class in proportion, and asked about these."""
        taught, kept = stratified_split(
            targets, held_out=held_out, num_classes=classes, seed=seed, split="validation"
        )
        net = SmallNet(images[taught], targets[taught], classes=classes, seed=seed)
        return PartTaught(net, taught, kept, net.judged(images[kept], targets[kept]))


def _net(channels: int, classes: int, *, side: int) -> nn.Sequential:
    """Strides where there is room for them; the last maps are pooled to 4 x 4 at the most."""
    outs, strides = (16, 32, 48), (2, 2, 1) if side > 12 else (1, 2, 1)
    layers: list[nn.Module] = []
    first = channels
    for out, stride in zip(outs, strides, strict=True):
        layers += [nn.Conv2d(channels, out, 3, stride, 1), nn.BatchNorm2d(out), nn.ReLU()]
        channels = out
    layers += [nn.AdaptiveAvgPool2d(min(4, side)), nn.Flatten(), nn.LazyLinear(classes)]
    net = nn.Sequential(*layers).train()
    net(torch.zeros(2, first, side, side))  # makes the last layer
    return net


def reduced(images: Tensor) -> Tensor:
    """Squares of at most `SIDE` pixels a side, float32 on the CPU."""
    images = images.detach().float().cpu()
    side = min(SIDE, *images.shape[2:])
    if images.shape[2:] == (side, side):
        return images
    return F.interpolate(images, size=(side, side), mode="area")
