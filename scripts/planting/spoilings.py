"""The catalogue of what data sets do to their images and labels when they are to go wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cnntrain.data.splits import Pixels


@dataclass(frozen=True)
class Given:
    """What is spoiled: `amount` is the share of images, or how far."""

    train: Pixels
    other: Pixels
    amount: float
    generator: torch.Generator
    classes: int

    def chance(self, count: int) -> Tensor:
        """Uniform from 0 to 1, `(count,)`."""
        return torch.rand(count, generator=self.generator)


Spoiling = Callable[[Given], Pixels | tuple[Pixels, Pixels]]

SPOILINGS: dict[str, Spoiling] = {}
"""Those of the modules that drawn_sets.py names, which fill it when imported."""


def spoiling(found: Spoiling) -> Spoiling:
    """Register a function under its name.

    It gives both parts, or one: of `validation_...` that is the validation images, else those of
    training.
    """
    SPOILINGS[found.__name__] = found
    return found


def spoiled_by(spoil: str, given: Given) -> tuple[Pixels, Pixels]:
    """Training and validation images with what `spoil`, one of `SPOILINGS`, says."""
    found = SPOILINGS[spoil](given)
    if isinstance(found, tuple):
        return found
    return (given.train, found) if spoil.startswith("validation_") else (found, given.other)


def same_labels(part: Pixels, images: Tensor) -> Pixels:
    """Other images with the labels of a part."""
    return Pixels(images.clamp(0, 255).to(torch.uint8), part.targets)
