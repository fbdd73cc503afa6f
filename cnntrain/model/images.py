"""The images of a split that a model is used on, or some of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cnntrain.assemble.translation import data_errors, evaluation_batch, reading, uses_channels_last
from cnntrain.config.loaded import Loaded
from cnntrain.core.errors import UsageError
from cnntrain.core.kinds import Split
from cnntrain.core.seeding import derive_seed
from cnntrain.data.batch import Batching, Loader
from cnntrain.data.left_out import LeftOut, tell
from cnntrain.data.loaders import make_loader, make_pipelines
from cnntrain.data.read import class_counts, open_splits
from cnntrain.data.splits import Part, Splits
from cnntrain.data.transform_errors import in_list
from cnntrain.model.watched_loader import WatchedLoader

if TYPE_CHECKING:
    from cnntrain.model.model import Model


@dataclass(frozen=True)
class SplitImages:
    """Images of one split, prepared as the model was evaluated, or some of them.

    They have an order, that of the positions, which is the stored one. Nothing is read before it is
    asked for.

    Args:
        part: the whole split.
        positions: those of the images in it.
        classes: the names, in the order of the data.
        counts: images per class of every split.
        train_images: all of training.
        left_out: files of the split that are not used.
        chosen: whether images were held out of the data set's own splits.
    """

    model: Model
    split: Split
    part: Part
    positions: Tensor
    classes: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]
    train_images: int
    left_out: tuple[LeftOut, ...] = ()
    chosen: bool = False

    @property
    def targets(self) -> Tensor:
        """(N,) the classes, or (N, K) what they are learnt with."""
        return self.part.targets[self.positions]

    @property
    def kind(self) -> str:
        """What they are, in words."""
        return "training images" if self.split == "train" else f"{self.split} images"

    @property
    def described(self) -> str:
        """How many of which, in words."""
        count, whole = len(self.positions), len(self.part)
        return f"{count:,} {self.kind}" + (f" of {whole:,}" if count < whole else "")

    def label(self, number: int) -> str:
        """What to call one of them."""
        return self.part.label(int(self.positions[number]))

    def at(self, numbers: Sequence[int]) -> Tensor:
        """Some of them, (N, C, H, W), as the network sees them."""
        with self.opened(numbers) as loader:
            return torch.cat([batch.images for batch in loader.batches(0)])

    @contextmanager
    def opened(self, numbers: Sequence[int] | None = None) -> Iterator[Loader]:
        """All of them or some, in batches, as evaluation prepares them.

        Raises:
            DataError: images are unreadable.
            ConfigError: a transform is impossible on them, at its line.
        """
        positions = self.positions if numbers is None else self.positions[list(numbers)]
        is_whole = numbers is None and len(positions) == len(self.part)
        loaded, device = self.model.loaded, self.model.device
        data = loaded.config.data
        batching = Batching(
            evaluation_batch(loaded),
            seed=loaded.config.seed,
            device=device,
            channels_last=uses_channels_last(loaded.config.compute, device),
        )
        with data_errors(loaded), in_list("eval"):
            loader = make_loader(
                self.part if is_whole else self.part.select(positions),
                make_pipelines({"eval": self.model.eval_steps}, form=loaded.config.task.wanted)[
                    "eval"
                ],
                name=self.split,
                memory=data.memory,
                workers=data.workers,
                batching=batching,
            )
        watched = WatchedLoader(loader, what=self.split)
        with reading(watched, loaded):
            yield watched


def every_split(loaded: Loaded) -> Splits:
    """The images of all splits of a run's data; no pixel of image files is read yet.

    Raises:
        DataError: files are missing.
    """
    data, seed = loaded.config.data, loaded.config.seed
    with data_errors(loaded):
        return open_splits(
            data.name,
            parameters=loaded.data_parameters,
            holdout=data.holdout(seed=seed),
            form=loaded.config.task.wanted,
        )


def find_images(
    model: Model, *, split: Split | None = None, limit: int | None = None, any_order: bool = False
) -> SplitImages:
    """The images of a split of a model's data; files that are left out of it are listed on stderr.

    Args:
        model: the model.
        split: the test set if there is one, else validation, else training.
        limit: so many of them at most, drawn at random, always the same ones.
        any_order: whether the data may have the model's classes in another order.

    Raises:
        UsageError: there is no such split.
        CheckpointError: the data are of other classes.
        DataError: files are missing.
    """
    splits = every_split(model.loaded)
    parts: dict[Split, Part | None] = {
        "test": splits.test,
        "validation": splits.validation,
        "train": splits.train,
    }
    there = {name: part for name, part in parts.items() if part is not None}
    name = split or next(iter(there))
    if name not in there:
        message = f"the data have no {name} split"
        raise UsageError(message, remedy=f"there is: {', '.join(there)}")
    model.check_classes(splits.classes, any_order=any_order)
    count = len(there[name])
    positions = torch.arange(count)
    if limit is not None and limit < count:
        generator = torch.Generator().manual_seed(derive_seed(0, "pictures"))
        positions = torch.randperm(count, generator=generator)[:limit].sort().values
    # images that were held out lie in the training folder
    taken = {"", name, *(() if splits.division is None else ("train",))}
    left_out = tuple(file for file in splits.left_out if file.split in taken)
    tell(left_out)
    return SplitImages(
        model,
        name,
        there[name],
        positions,
        classes=splits.classes,
        counts=class_counts(splits),
        train_images=len(splits.train),
        left_out=left_out,
        chosen=splits.division is not None,
    )


def spread(targets: Tensor, count: int) -> list[int]:
    """Positions of the first image of each class, then of the second of each, and so on.

    Where the targets are not classes, of the first images.
    """
    if targets.ndim > 1:
        return list(range(min(count, len(targets))))
    seen: dict[int, int] = {}
    ranked = []
    for number, target in enumerate(targets.tolist()):
        seen[target] = seen.get(target, 0) + 1
        ranked.append((seen[target], target, number))
    return [number for _, _, number in sorted(ranked)[:count]]
