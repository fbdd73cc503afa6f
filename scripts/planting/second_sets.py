"""More ways in which images, labels and splits go wrong before anyone trains on them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cnntrain.data.splits import Pixels

SECOND = (
    *("unlabelled_as_first", "labels_folded", "second_annotator", "near_copies"),
    *("files_cut_short", "brightness_wrapped", "long_tail", "channels_interleaved", "colour_lost"),
    *("split_by_class", "validation_letterboxed", "validation_covered"),
)
BOTH_SPLITS = ("channels_interleaved", "colour_lost", "split_by_class")
"""What of `SECOND` changes training and validation images alike."""


def spoiled_again(
    train: Pixels,
    other: Pixels,
    *,
    spoil: str,
    amount: float,
    generator: torch.Generator,
    classes: int,
) -> tuple[Pixels, Pixels]:
    """Training and validation images with what `spoil`, one of `SECOND`, says."""
    match spoil:
        case "split_by_class":
            return _cut_in_order_of_classes(train, other)
        case "channels_interleaved":
            return _with(train, _misread(train.images)), _with(other, _misread(other.images))
        case "colour_lost":
            return _with(train, _grey(train.images)), _with(other, _grey(other.images))
        case "validation_letterboxed":
            return train, _with(other, _letterboxed(other.images, amount))
        case "validation_covered":
            return train, _with(other, _covered(other.images, amount))
        case "near_copies":
            return _near_copies(train, amount, generator, classes=classes), other
        case "long_tail":
            return _long_tail(train, generator, classes=classes), other
        case "files_cut_short":
            return _with(train, _cut_short(train.images, amount, generator)), other
        case "brightness_wrapped":
            brighter = (train.images.int() * (1 + amount)).int() % 256
            return _with(train, brighter.to(torch.uint8)), other
        case _:
            targets = _labelled(train.targets, spoil, amount, generator, classes=classes)
            return Pixels(train.images, targets), other


def _with(part: Pixels, images: Tensor) -> Pixels:
    return Pixels(images, part.targets)


def _labelled(
    targets: Tensor, spoil: str, amount: float, generator: torch.Generator, *, classes: int
) -> Tensor:
    among = torch.rand(len(targets), generator=generator) < amount
    match spoil:
        case "unlabelled_as_first":
            return torch.where(among, 0, targets)
        case "labels_folded":
            return targets % ((classes + 1) // 2)
        case "second_annotator":
            late = torch.arange(len(targets)) >= (1 - amount) * len(targets)
            return torch.where(late, (targets + 1) % classes, targets)
        case _:
            raise AssertionError(spoil)


def _cut_in_order_of_classes(train: Pixels, other: Pixels) -> tuple[Pixels, Pixels]:
    images = torch.cat([train.images, other.images])
    targets = torch.cat([train.targets, other.targets])
    order = targets.argsort(stable=True)
    whole, count = Pixels(images[order], targets[order]), len(train)
    places = torch.arange(len(whole))
    return whole.select(places[:count]), whole.select(places[count:])


def _misread(images: Tensor) -> Tensor:
    """Bytes in the order height, width, channel, read as channel, height, width."""
    return images.permute(0, 2, 3, 1).reshape(images.shape).contiguous()


def _grey(images: Tensor) -> Tensor:
    grey = images.float().mean(1, keepdim=True).to(torch.uint8)
    return grey.expand_as(images).contiguous()


def _letterboxed(images: Tensor, amount: float) -> Tensor:
    """Smaller, in the middle of black."""
    size = images.shape[-1]
    side = max(round(size * (1 - amount)), 2)
    at = (size - side) // 2
    small = F.interpolate(images.float(), size=(side, side), mode="bilinear", antialias=True)
    found = torch.zeros_like(images)
    found[..., at : at + side, at : at + side] = small.to(torch.uint8)
    return found


def _covered(images: Tensor, amount: float) -> Tensor:
    """A grey square of this share of the side over the middle."""
    size = images.shape[-1]
    side = round(size * amount)
    at = (size - side) // 2
    found = images.clone()
    found[..., at : at + side, at : at + side] = 128
    return found


def _near_copies(
    train: Pixels, amount: float, generator: torch.Generator, *, classes: int
) -> Pixels:
    """As many images as before, all of them one of a few with a little noise."""
    each = max(round(amount * len(train) / classes), 2)
    firsts = [(train.targets == label).nonzero().flatten()[:each] for label in range(classes)]
    few = torch.cat(firsts)
    chosen = train.select(few[torch.randint(0, len(few), (len(train),), generator=generator)])
    noise = torch.randint(-4, 5, chosen.images.shape, generator=generator)
    return _with(chosen, (chosen.images + noise).clamp(0, 255).to(torch.uint8))


def _long_tail(train: Pixels, generator: torch.Generator, *, classes: int) -> Pixels:
    """Each class is rarer than the one before it, the last one a hundred times as the first."""
    places = torch.randperm(classes, generator=generator)
    share = 0.01 ** (places / (classes - 1))
    kept = torch.rand(len(train), generator=generator) < share[train.targets]
    return train.select(kept.nonzero().flatten())


def _cut_short(images: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """Of most images nothing but the upper rows is there; below is grey."""
    height = images.shape[-2]
    rows = height * (0.15 + 0.2 * torch.rand(len(images), generator=generator))
    among = torch.rand(len(images), generator=generator) < amount
    is_lost = (torch.arange(height)[None] >= rows[:, None]) & among[:, None]
    return images.masked_fill(is_lost[:, None, :, None], 128)
