"""Eight small data sets, each spoiled as it goes wrong when data are prepared."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from cnntrain.core.kinds import Fraction, NonNegative, Positive
from cnntrain.data import dataset
from cnntrain.data.sets.cifar import cifar10
from cnntrain.data.sets.digits import digits
from cnntrain.data.sets.mnist import mnist
from cnntrain.data.splits import Part, Pixels, Splits

if (scripts := str(Path(__file__).parents[1])) not in sys.path:
    sys.path.append(scripts)  # where a run file alone names this plugin

from planting import (
    fifth_images,
    fifth_sets,
    fourth_images,
    fourth_sets,
    sixth_images,
    sixth_sets,
    third_sets,
)
from planting.second_sets import SECOND, spoiled_again
from planting.spoilings import SPOILINGS, Given, spoiled_by

CATALOGUED = (
    *(third_sets, fourth_images, fourth_sets, fifth_images, fifth_sets),
    *(sixth_images, sixth_sets),
)
"""Importing them fills `SPOILINGS`."""

SHAPES, ARROWS, HUES = ("disc", "square", "triangle", "cross"), ("up", "right", "down", "left"), 6


@dataset("planted_digits", classes=10, channels=1, size=8, validation=True)
def planted_digits(
    *, images: Positive = 1400, spoil: str = "none", amount: Fraction = 0.3, seed: NonNegative = 0
) -> Splits:
    """scikit-learn's digits.

    Args:
        images: of training; the others are for validation.
        spoil: what is wrong.
        amount: how much.
        seed: of the choice.
    """
    whole = digits()
    order = torch.randperm(len(whole.train), generator=torch.Generator().manual_seed(seed))
    part = whole.train.select(order)
    return spoiled(_cut(part, whole.classes, images), spoil, amount, seed)


@dataset("planted_mnist", classes=10, channels=1, size=28, validation=True)
def planted_mnist(
    *,
    root: str = "data",
    images: Positive = 2000,
    spoil: str = "none",
    amount: Fraction = 0.3,
    seed: NonNegative = 0,
) -> Splits:
    """Some images of MNIST.

    Args:
        root: the folder of MNIST.
        images: of training; a quarter as many are for validation.
        spoil: what is wrong.
        amount: how much.
        seed: of the choice.
    """
    whole = mnist(root=root)
    part = _chosen(whole.train, list(range(10)), images + images // 4, seed)
    return spoiled(_cut(part, whole.classes, images), spoil, amount, seed)


@dataset("planted_cifar", classes=10, channels=3, size=32, validation=True)
def planted_cifar(
    *,
    root: str = "data",
    images: Positive = 4000,
    spoil: str = "none",
    amount: Fraction = 0.3,
    seed: NonNegative = 0,
) -> Splits:
    """Some images of CIFAR-10.

    Args:
        root: the folder of CIFAR-10.
        images: of training; a quarter as many are for validation.
        spoil: what is wrong.
        amount: how much.
        seed: of the choice.
    """
    whole = cifar10(root=root)
    part = _chosen(whole.train, list(range(10)), images + images // 4, seed)
    return spoiled(_cut(part, whole.classes, images), spoil, amount, seed)


@dataset("planted_vehicles", classes=4, channels=3, size=32, validation=True)
def planted_vehicles(
    *,
    root: str = "data",
    images: Positive = 2400,
    spoil: str = "none",
    amount: Fraction = 0.3,
    seed: NonNegative = 0,
) -> Splits:
    """Aeroplanes, cars, ships and lorries of CIFAR-10.

    Args:
        root: the folder of CIFAR-10.
        images: of training; a quarter as many are for validation.
        spoil: what is wrong.
        amount: how much.
        seed: of the choice.
    """
    whole, wanted = cifar10(root=root), [0, 1, 8, 9]
    part = _chosen(whole.train, wanted, images + images // 4, seed)
    classes = tuple(whole.classes[number] for number in wanted)
    return spoiled(_cut(part, classes, images), spoil, amount, seed)


@dataset("planted_horses", classes=2, channels=3, size=32, validation=True)
def planted_horses(
    *,
    root: str = "data",
    images: Positive = 1600,
    spoil: str = "none",
    amount: Fraction = 0.3,
    seed: NonNegative = 0,
) -> Splits:
    """Cars and horses of CIFAR-10.

    Args:
        root: the folder of CIFAR-10.
        images: of training; a quarter as many are for validation.
        spoil: what is wrong.
        amount: how much.
        seed: of the choice.
    """
    whole = cifar10(root=root)
    part = _chosen(whole.train, [1, 7], images + images // 4, seed)
    return spoiled(_cut(part, ("automobile", "horse"), images), spoil, amount, seed)


@dataset("planted_shapes", classes=4, channels=1, size=24, validation=True)
def planted_shapes(
    *, images: Positive = 1600, spoil: str = "none", amount: Fraction = 0.3, seed: NonNegative = 0
) -> Splits:
    """Discs, squares, triangles and crosses of any size and place, with noise.

    Args:
        images: of training; a quarter as many are for validation.
        spoil: what is wrong.
        amount: how much.
        seed: of the images.
    """
    count = images + images // 4
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, len(SHAPES), (count,), generator=generator)
    y, x, radius = _placed(count, 24, generator)
    across, box = x.abs().maximum(y.abs()), y < radius
    cross = (x.abs() < radius / 3) | (y.abs() < radius / 3)
    inside = torch.stack([
        x.square() + y.square() < radius.square(),
        across < radius * 0.88,
        box & (x.abs() < (y + radius) / 2) & (y > -radius),
        cross & (across < radius),
    ])  # fmt: skip
    drawn = inside[targets, torch.arange(count)].float().mul_(150).add_(40)
    part = Pixels(_noisy(drawn.unsqueeze(1), 30, generator), targets)
    return spoiled(_cut(part, SHAPES, images), spoil, amount, seed)


@dataset("planted_arrows", classes=4, channels=1, size=20, validation=True)
def planted_arrows(
    *, images: Positive = 1600, spoil: str = "none", amount: Fraction = 0.3, seed: NonNegative = 0
) -> Splits:
    """Arrows in four directions: mirrored or turned they are others.

    Args:
        images: of training; a quarter as many are for validation.
        spoil: what is wrong.
        amount: how much.
        seed: of the images.
    """
    count = images + images // 4
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, len(ARROWS), (count,), generator=generator)
    y, x, radius = _placed(count, 20, generator)
    head = (y > -radius) & (y < 0) & (x.abs() < y + radius)
    shaft = (y >= 0) & (y < radius) & (x.abs() < radius / 3.5)
    up = (head | shaft).float().mul_(150).add_(40)
    turned = torch.stack([torch.rot90(up, -turns, (1, 2)) for turns in range(4)])
    part = Pixels(_noisy(turned[targets, torch.arange(count)].unsqueeze(1), 30, generator), targets)
    return spoiled(_cut(part, ARROWS, images), spoil, amount, seed)


@dataset("planted_colours", classes=6, channels=3, size=16, validation=True)
def planted_colours(
    *, images: Positive = 1500, spoil: str = "none", amount: Fraction = 0.3, seed: NonNegative = 0
) -> Splits:
    """Blots whose hue is the class, in any form and brightness: without colour nothing is left.

    Args:
        images: of training; a quarter as many are for validation.
        spoil: what is wrong.
        amount: how much.
        seed: of the images.
    """
    count = images + images // 4
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, HUES, (count,), generator=generator)
    hue = (targets + 0.6 * torch.rand(count, generator=generator) - 0.3) / HUES
    turns = hue[:, None] + torch.tensor([0.0, 2 / 3, 1 / 3])
    colour = ((turns % 1.0 * 6 - 3).abs() - 1).clamp(0, 1)  # of full saturation
    coarse = torch.rand(count, 1, 4, 4, generator=generator)
    form = F.interpolate(coarse, size=(16, 16), mode="bilinear", align_corners=False)
    light = 70 + 110 * torch.rand(count, 1, 1, 1, generator=generator)
    drawn = form * light * colour[:, :, None, None] + (1 - form) * light * 0.6
    part = Pixels(_noisy(drawn, 15, generator), targets)
    names = tuple(f"hue{number}" for number in range(HUES))
    return spoiled(_cut(part, names, images), spoil, amount, seed)


def _placed(count: int, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Coordinates about the middle of an object `(count, size, size)`, and its radius."""
    radius = size * (0.2 + 0.12 * torch.rand(count, 1, 1, generator=generator))
    free = size / 2 - 1 - radius
    middle = (2 * torch.rand(2, count, 1, 1, generator=generator) - 1) * free + (size - 1) / 2
    steps = torch.arange(size, dtype=torch.float32)
    y, x = steps[None, :, None] - middle[0], steps[None, None, :] - middle[1]
    return y.expand(count, size, size), x.expand(count, size, size), radius


def _noisy(drawn: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    noise = deviation * torch.randn(drawn.shape, generator=generator)
    return drawn.add(noise).clamp_(0, 255).to(torch.uint8)


def _chosen(part: Part, wanted: list[int], images: int, seed: int) -> Pixels:
    """So many images of the wanted classes, equally many of each, in a random order."""
    assert isinstance(part, Pixels)
    generator = torch.Generator().manual_seed(seed)
    each = images // len(wanted)
    found, targets = [], []
    for number, label in enumerate(wanted):
        places = (part.targets == label).nonzero().flatten()
        found.append(places[torch.randperm(len(places), generator=generator)[:each]])
        targets.append(torch.full((each,), number))
    order = torch.randperm(each * len(wanted), generator=generator)
    return Pixels(part.images[torch.cat(found)][order], torch.cat(targets)[order])


def _cut(part: Part, classes: tuple[str, ...], images: int) -> Splits:
    assert isinstance(part, Pixels)
    rest = part.select(torch.arange(images, len(part)))
    return Splits(classes, part.select(torch.arange(images)), validation=rest)


def spoiled(whole: Splits, spoil: str, amount: float, seed: int) -> Splits:
    """The splits with what `spoil` says; `amount` is the share of images, or how far."""
    train, other, count = whole.train, whole.validation, len(whole.classes)
    assert isinstance(train, Pixels)
    assert isinstance(other, Pixels)
    generator = torch.Generator().manual_seed(seed + 1)
    pair = torch.randperm(count, generator=generator)[:2]
    if spoil in SECOND:
        train, other = spoiled_again(
            train, other, spoil=spoil, amount=amount, generator=generator, classes=count
        )
    elif spoil in SPOILINGS:
        train, other = spoiled_by(spoil, Given(train, other, amount, generator, count))
    elif spoil.startswith("validation_"):
        other = _other_validation(other, spoil.removeprefix("validation_"), amount, pair, generator)
    elif spoil == "copies_of_validation":
        again = other.select(torch.arange(int(amount * len(other))))
        train = Pixels(
            torch.cat([train.images, again.images]), torch.cat([train.targets, again.targets])
        )
    elif spoil == "channel_empty":
        train.images[:, 0] = other.images[:, 0] = 0
    elif spoil != "none":
        train = _other_training(train, spoil, amount, pair, generator, classes=count)
    return Splits(whole.classes, train, validation=other)


def _other_training(
    train: Pixels,
    spoil: str,
    amount: float,
    pair: Tensor,
    generator: torch.Generator,
    *,
    classes: int,
) -> Pixels:
    images, targets = train.images.clone(), train.targets.clone()
    among = torch.rand(len(targets), generator=generator) < amount
    of_pair = torch.isin(targets, pair)
    match spoil:
        case "labels_wrong":
            away = torch.randint(1, classes, (len(targets),), generator=generator)
            targets = torch.where(among, (targets + away) % classes, targets)
        case "labels_random":
            targets = targets[torch.randperm(len(targets), generator=generator)]
        case "labels_late":
            images, targets = images[1:], targets[:-1]
        case "labels_of_a_pair_mixed":
            drawn = pair[torch.randint(0, 2, (len(targets),), generator=generator)]
            targets = torch.where(of_pair, drawn, targets)
        case "class_missing":
            return train.select((targets != pair[0]).nonzero().flatten())
        case "class_rare":
            few = torch.arange(len(targets)) % 40 == 0
            of_rare = of_pair if classes > 2 else targets == pair[0]
            return train.select((~of_rare | few).nonzero().flatten())
        case "few_images":
            return train.select(torch.arange(max(int(amount * len(targets)), 4 * classes)))
        case "blank_images":
            images[among] = 0
        case "mark_tells_class":
            for place, label in enumerate(targets.tolist()):
                images[place, :, 0, label % images.shape[-1]] = 255
        case _:
            raise AssertionError(spoil)
    return Pixels(images, targets)


def _other_validation(
    other: Pixels, how: str, amount: float, pair: Tensor, generator: torch.Generator
) -> Pixels:
    images, targets = other.images.clone(), other.targets.clone()
    count = int(targets.max()) + 1
    match how:
        case "two_exchanged":
            first, second = (targets == pair[0]), (targets == pair[1])
            targets[first], targets[second] = pair[1], pair[0]
        case "all_permuted":
            targets = torch.arange(count).roll(1)[targets]
        case "late":
            images, targets = images[1:], targets[:-1]
        case "class_of_another_kind":
            odd = targets == pair[0]
            mixed = images[odd].flatten(2)
            order = torch.randperm(mixed.shape[-1], generator=generator)
            images[odd] = mixed[..., order].view_as(images[odd])
        case _:
            images = _changed(images, how, amount, generator)
    return Pixels(images, targets)


def _changed(images: Tensor, how: str, amount: float, generator: torch.Generator) -> Tensor:
    size = images.shape[-2:]
    noise = torch.randn(images.shape, generator=generator) * 255 * amount
    small = F.adaptive_avg_pool2d(images.float(), max(int(size[0] * amount / 2), 2))
    changed = {
        "channels_swapped": images.flip(1),
        "inverted": 255 - images,
        "dark": images * (1 - 2 * min(amount, 0.4)),
        "pale": images * 0.3 + 150 * (1 - amount),
        "blurred": F.interpolate(small, size=size, mode="bilinear"),
        "turned": images.rot90(1, (2, 3)),
        "upside_down": images.flip(2),
        "shifted": images.roll(int(size[1] * max(amount, 0.25)), 3),
        "noisy": (images + noise).clamp(0, 255),
    }
    return changed[how].to(torch.uint8)
