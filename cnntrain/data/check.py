"""Looking over a data set: what `cnntrain data check` reports."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from PIL import Image

from cnntrain.core.target_forms import TargetForm, Wanted
from cnntrain.data.decode import UnreadableImageError, in_threads
from cnntrain.data.depth import Depth, depth_of, merged
from cnntrain.data.left_out import UNREADABLE, LeftOut, summaries
from cnntrain.data.loaders import make_pipelines
from cnntrain.data.metadata import AS_IT_IS, Holdout
from cnntrain.data.pipeline import Pipeline
from cnntrain.data.read import class_counts, open_splits
from cnntrain.data.same_images import pixel_hashes, salt_of
from cnntrain.data.splits import Part, Pixels
from cnntrain.data.statistics import Items
from cnntrain.data.strips import strips
from cnntrain.data.transform_errors import TransformError
from cnntrain.data.windows import HeightWidth


@dataclass(frozen=True)
class Duplicate:
    """Images that are equal in every pixel."""

    images: tuple[tuple[str, str, str], ...]
    """(split, which image, class) of each, in reading order."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that share the image: more than one is a leak."""
        return tuple(dict.fromkeys(split for split, _, _ in self.images))

    @property
    def classes(self) -> tuple[str, ...]:
        """Its classes: more than one is a contradiction."""
        return tuple(dict.fromkeys(label for _, _, label in self.images))


@dataclass(frozen=True)
class Unfit:
    """How many images of a split a transform refuses; one of them, and the reason."""

    split: str
    transform: str
    images: int
    example: str
    reason: str


@dataclass(frozen=True)
class DataReport:
    """What a data set is made of, and what is wrong with it.

    Args:
        classes: the class names.
        counts: images per class, or with each label, of each split.
        sizes: (height, width) and how many images have it, most frequent first, of each split.
        unreadable: files that cannot be decoded.
        duplicates: groups of equal images, those across splits first.
        unfit: images that are too small for a crop.
        imbalance: images of the largest training class over those of the smallest; infinite where
            a class has none.
        notes: what the data set's reader found, one sentence each.
        left_out: other files that are not used.
        deep: the images with more than 8 bits per channel; None where there are none.
        form: of the targets; the classes are the names of numbers or labels where it says so.
    """

    classes: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]
    sizes: dict[str, tuple[tuple[HeightWidth, int], ...]]
    unreadable: tuple[LeftOut, ...]
    duplicates: tuple[Duplicate, ...]
    unfit: tuple[Unfit, ...]
    imbalance: float
    notes: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    deep: Depth | None = None
    form: TargetForm = "classes"

    @property
    def leaks(self) -> tuple[Duplicate, ...]:
        """Duplicates that stand in more than one split."""
        return tuple(group for group in self.duplicates if len(group.splits) > 1)

    @property
    def is_clean(self) -> bool:
        """No unreadable file, no image too small, and nothing shared between splits."""
        return not (self.unreadable or self.unfit or self.leaks)


def check_data(
    name: str,
    *,
    parameters: Mapping[str, Any] | None = None,
    holdout: Holdout = AS_IT_IS,
    train_transforms: Items = (),
    eval_transforms: Items = (),
    progress: Callable[[int], object] = lambda images: None,
    form: Wanted | None = None,
) -> DataReport:
    """Read every image of a data set once.

    Args:
        name: a registered data set.
        parameters: its own parameters.
        holdout: as in `open_data`.
        train_transforms: names and parameters; images too small for them are reported.
        eval_transforms: the same way.
        progress: called with the number of images read since the last call.
        form: of the targets, where it is not the data's own.

    Raises:
        ListError: a list of transforms is wrong whatever the images.
    """
    lists = {"train": train_transforms, "eval": eval_transforms}
    pipelines = make_pipelines(
        {key: tuple({"name": n, **p} for n, p in items) for key, items in lists.items()},
        form=form or "classes",
    )
    splits = open_splits(name, parameters=parameters or {}, holdout=holdout, form=form)
    sizes: dict[str, tuple[tuple[HeightWidth, int], ...]] = {}
    unfit: list[Unfit] = []
    unreadable = [file for file in splits.left_out if file.cause == UNREADABLE]
    others = tuple(file for file in splits.left_out if file.cause != UNREADABLE)
    seen: dict[bytes, list[tuple[str, str, str]]] = {}
    depths: list[Depth] = []
    for split, part in splits.parts.items():
        found: Counter[HeightWidth] = Counter()
        examples: dict[HeightWidth, str] = {}
        said = splits.targets.say_all(part.targets)
        for index, image in enumerate(_pictures(part)):
            progress(1)
            if isinstance(image, LeftOut):
                unreadable.append(image)
                continue
            digest, size, deep = image
            depths += [deep] if deep else []
            found[size] += 1
            examples.setdefault(size, part.label(index))
            seen.setdefault(digest, []).append((split, part.label(index), said[index]))
        sizes[split] = tuple(found.most_common())
        pipeline = pipelines["train" if split == "train" else "eval"]
        unfit += _unfit(split, pipeline, found, examples)
    groups = [Duplicate(tuple(images)) for images in seen.values() if len(images) > 1]
    counts = class_counts(splits)
    fewest = min(counts["train"])
    return DataReport(
        classes=splits.classes,
        counts=counts,
        sizes=sizes,
        unreadable=tuple(unreadable),
        duplicates=tuple(sorted(groups, key=lambda group: -len(group.splits))),
        unfit=tuple(unfit),
        imbalance=max(counts["train"]) / fewest if fewest else math.inf,
        form=splits.form,
        notes=(*splits.notes, *summaries(others)),
        left_out=others,
        deep=merged(depths),
    )


def _unfit(
    split: str,
    pipeline: Pipeline,
    sizes: Mapping[HeightWidth, int],
    examples: Mapping[HeightWidth, str],
) -> list[Unfit]:
    """One entry for each transform that refuses some of the sizes."""
    found: dict[str, Unfit] = {}
    for size, count in sizes.items():
        try:
            pipeline.output_size(size)
        except TransformError as error:
            first = Unfit(split, error.name, 0, examples[size], error.reason)
            unfit = found.get(error.name, first)
            found[error.name] = replace(unfit, images=unfit.images + count)
    return list(found.values())


def _pictures(part: Part) -> Iterator[tuple[bytes, HeightWidth, Depth | None] | LeftOut]:
    """A hash of the pixels, the size and the depth of each image."""
    if isinstance(part, Pixels):
        yield from ((digest, part.size, None) for digest in pixel_hashes(part))
        return

    def read(index: int) -> tuple[bytes, HeightWidth, Depth | None] | LeftOut:
        try:
            picture = part.open(index)
        except UnreadableImageError as error:
            return LeftOut(error.path, error.reason, UNREADABLE)
        size = (picture.height, picture.width)
        return _picture_hash(picture), size, depth_of([picture])

    yield from in_threads(read, range(len(part)))


def _picture_hash(picture: Image.Image) -> bytes:
    """As `_hash` of all its pixels, a strip at a time: `tobytes` takes twice the picture."""
    found = blake2b(digest_size=16, salt=salt_of((picture.height, picture.width)))
    for _, strip in strips(picture):
        found.update(strip.tobytes())
    return found.digest()
