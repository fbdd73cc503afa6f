"""Images of each split for the doctor to look at, and what the splits have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from cnntrain.config.loaded import Loaded
from cnntrain.core.seeding import derive_seed
from cnntrain.data.batch import Batching
from cnntrain.data.image_targets import uncorrupted
from cnntrain.data.loaders import Data
from cnntrain.data.pipeline import build_eval_pipeline
from cnntrain.data.same_images import doubly_labelled, shared_images
from cnntrain.data.splits import Part, Pixels
from cnntrain.data.stream import StreamLoader
from cnntrain.diagnose.neighbours import Sample
from cnntrain.model.images import every_split

IN_MEMORY, FROM_FILES = 2000, 500
"""Images of a split that are looked at."""

MOVES = (-2, -1, 1, 2)
"""Places by which labels may have slipped."""


@dataclass(frozen=True)
class Samples:
    """Some training images, some of the validation or else test images, and what is shared.

    Args:
        train: of the training images.
        other: of the split that measures; None where there is only training.
        shared: of each other split, the images that training has too.
        doubled: training images that are there again with another label, and the first ones.
    """

    train: Sample
    other: Sample | None
    shared: Mapping[str, list[tuple[str, str]]]
    doubled: list[tuple[str, str]]


def open_samples(loaded: Loaded, data: Data) -> Samples:
    """Draw the samples of a run file, from its seed; `data` is what was opened from it.

    Raises:
        DataError: images are missing or unreadable.
    """
    parts = every_split(loaded).parts
    train, other = _first_two(parts, loaded, data)
    ours = parts.pop("train")
    shared = {name: shared_images(ours, part) for name, part in parts.items()}
    doubled = doubly_labelled(ours) if ours.targets.ndim == 1 else []
    return Samples(train, other, shared, doubled)


def open_both(loaded: Loaded, data: Data) -> tuple[Sample, Sample | None]:
    """The samples alone; for the arguments see `open_samples`."""
    return _first_two(every_split(loaded).parts, loaded, data)


def _first_two(
    parts: Mapping[str, Part], loaded: Loaded, data: Data
) -> tuple[Sample, Sample | None]:
    train, *other = [
        _sample(name, part, data=data, seed=loaded.config.seed)
        for name, part in list(parts.items())[:2]
    ]
    return train, other[0] if other else None


def _sample(split: str, part: Part, *, data: Data, seed: int) -> Sample:
    """Images drawn by chance, with the labels that stand some places away from theirs."""
    most = IN_MEMORY if isinstance(part, Pixels) else FROM_FILES
    generator = torch.Generator().manual_seed(derive_seed(seed, "sample", split))
    chosen = torch.randperm(len(part), generator=generator)[:most].sort().values
    loader = StreamLoader(
        part.select(chosen),
        name=split,
        pipeline=build_eval_pipeline(uncorrupted(data.eval_pipeline)),
        batching=Batching(most, seed=seed),
        workers=0,
    )
    batch = next(iter(loader.batches(0)))
    is_image = data.targets.form == "image"
    targets = batch.images if is_image else batch.targets
    moved = {}
    for by in MOVES if targets.ndim == 1 or data.targets.form == "numbers" else ():
        places = chosen + by
        inside = (places >= 0) & (places < len(part))
        there = part.targets[places.clamp(0, len(part) - 1)]
        moved[by] = there.where(inside.view(-1, *[1] * (there.ndim - 1)), -1 if
                                targets.ndim == 1 else torch.nan)  # fmt: skip
    names = [part.label(place) for place in chosen.tolist()]
    return Sample(split, batch.images, targets, moved, names)
