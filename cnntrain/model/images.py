"""The images of a split that a model is used on, or some of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cnntrain.assemble.parts import reading
from cnntrain.core.seeding import derive_seed
from cnntrain.data.batch import Loader
from cnntrain.data.splits import Part
from cnntrain.model.classes import check_classes
from cnntrain.model.splits import OneSplit, Split, find_split, open_split

if TYPE_CHECKING:
    from cnntrain.model.model import Model


@dataclass(frozen=True)
class Images:
    """Images of one split, or some of them drawn at random; `positions` are theirs in the whole.

    They have an order, that of the positions, which is the stored one. Nothing is read before it is
    asked for.
    """

    model: Model
    whole: OneSplit
    positions: Tensor

    @property
    def split(self) -> Split:
        """Which."""
        return self.whole.name

    @property
    def targets(self) -> Tensor:
        """(N,) the classes."""
        return self.whole.part.targets[self.positions]

    @property
    def kind(self) -> str:
        """What they are, in words."""
        return "training images" if self.split == "train" else f"{self.split} images"

    @property
    def told(self) -> str:
        """How many of which, in words."""
        count, whole = len(self.positions), len(self.whole.part)
        return f"{count:,} {self.kind}" + (f" of {whole:,}" if count < whole else "")

    def label(self, number: int) -> str:
        """What to call one of them."""
        return self.whole.part.label(int(self.positions[number]))

    def at(self, numbers: Sequence[int]) -> Tensor:
        """Some of them, (N, C, H, W), as the network sees them."""
        with self._open(self.whole.part.select(self.positions[list(numbers)])) as loader:
            return torch.cat([batch.images for batch in loader.batches(0)])

    @contextmanager
    def opened(self) -> Iterator[Loader]:
        """All of them in batches, as evaluation prepares them."""
        part = self.whole.part
        if len(self.positions) < len(part):
            part = part.select(self.positions)
        with self._open(part) as loader:
            yield loader

    @contextmanager
    def _open(self, part: Part) -> Iterator[Loader]:
        data = open_split(replace(self.whole, part=part), self.model)
        with reading(data, self.model.loaded):
            yield data.loader


def find_images(model: Model, *, split: Split | None = None, limit: int | None = None) -> Images:
    """The images of a split.

    Args:
        model: the model.
        split: the test set if there is one, else validation, else training.
        limit: so many of them at most, drawn at random, always the same ones.

    Raises:
        UsageError: there is no such split.
        CheckpointError: the data are of other classes.
        DataError: files are missing.
    """
    whole = find_split(model.loaded, split)
    check_classes(model, whole.classes)
    count = len(whole.part)
    positions = torch.arange(count)
    if limit is not None and limit < count:
        generator = torch.Generator().manual_seed(derive_seed(0, "pictures"))
        positions = torch.randperm(count, generator=generator)[:limit].sort().values
    return Images(model, whole, positions)
