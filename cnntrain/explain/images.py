"""The images that pictures show and measurements are made on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from cnntrain.assemble.parts import reading
from cnntrain.core.errors import DataError, UsageError
from cnntrain.core.seeding import derive_seed
from cnntrain.data.batch import Loader
from cnntrain.data.decode import FORMATS, UnreadableImageError
from cnntrain.data.image_file import load_image
from cnntrain.data.splits import Part
from cnntrain.explain.subject import Subject, find_layer, open_subject
from cnntrain.model.ensemble import check_classes
from cnntrain.model.splits import OneSplit, Split, find_split, open_split


@dataclass(frozen=True)
class Images:
    """Images of one split, or some of them drawn at random; `positions` are theirs in the whole.

    They have an order, that of the positions, which is the stored one. Nothing is read before it is
    asked for.
    """

    subject: Subject
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
        trained = self.subject.trained
        data = open_split(replace(self.whole, part=part), trained, device=self.subject.device)
        with reading(data, trained.loaded):
            yield data.loader


def find_images(
    subject: Subject, *, split: Split | None = None, limit: int | None = None
) -> Images:
    """The images of a split.

    Args:
        subject: the network.
        split: the test set if there is one, else validation, else training.
        limit: so many of them at most, drawn at random, always the same ones.

    Raises:
        UsageError: there is no such split.
        CheckpointError: the data are of other classes.
        DataError: files are missing.
    """
    whole = find_split(subject.trained.loaded, split)
    check_classes(subject.trained, whole.classes)
    count = len(whole.part)
    positions = torch.arange(count)
    if limit is not None and limit < count:
        generator = torch.Generator().manual_seed(derive_seed(0, "pictures"))
        positions = torch.randperm(count, generator=generator)[:limit].sort().values
    return Images(subject, whole, positions)


@dataclass(frozen=True)
class Shown:
    """Some images to look at: (N, C, H, W), what to call them, their classes where known."""

    images: Tensor
    labels: tuple[str, ...]
    targets: tuple[int | None, ...]


def show_images(
    subject: Subject, wanted: Sequence[str], *, split: Split | None = None, usual: int = 4
) -> Shown:
    """The images that a user asks for.

    Args:
        subject: the network.
        wanted: image files, or positions in the split, counted from 0; if there are none, `usual`
            images of the split, one of each class before a second one of any.
        split: see `find_images`.
        usual: how many where none are asked for.

    Raises:
        UsageError: there is no such file or position, or the image has another size than the
            network takes.
        UnreadableImageError: a file cannot be decoded.
    """
    files = [name for name in wanted if Path(name).is_file()]
    numbers = [name for name in wanted if name not in files]
    for name in numbers:
        if not name.isdecimal():
            kind = "is a folder, not an image" if Path(name).is_dir() else "is not there"
            raise UsageError(
                f"{name} {kind}",
                remedy="name a file, or an image of the split by its number, counted from 0",
            )
    images: dict[str, tuple[Tensor, str, int | None]] = {}
    for name in files:
        images[name] = _read_file(subject, Path(name)), short(name), None
    if numbers or not wanted:
        data = find_images(subject, split=split)
        size = len(data.positions)
        beyond = [name for name in numbers if int(name) >= size]
        if beyond:
            message = f"there is no image {beyond[0]} in the {data.split} split"
            raise UsageError(message, remedy=f"it has 0 to {size - 1}")
        chosen = [int(name) for name in numbers] or _spread(data.targets, usual)
        names = numbers or [str(number) for number in chosen]
        for name, number, image in zip(names, chosen, data.at(chosen), strict=True):
            label = short(data.label(number))
            images[name] = image[None], label, int(data.targets[number])
        wanted = wanted or names
    found = [images[name] for name in wanted]
    stacked = torch.cat([image.to(subject.device) for image, _, _ in found])
    return Shown(stacked, tuple(each[1] for each in found), tuple(each[2] for each in found))


def check_asked(
    path: Path,
    *,
    layer: str | None,
    images: Sequence[str],
    split: Split | None,
    overrides: Sequence[str],
) -> None:
    """Whether what a picture is asked to show is there.

    Raises:
        UsageError: the run is not, or the layer, or an image.
        CheckpointError: the checkpoint is missing or damaged.
    """
    subject = open_subject(path, overrides=overrides)
    if layer is not None:
        find_layer(subject, layer)
    if images:
        show_images(subject, images, split=split)


def _read_file(subject: Subject, path: Path) -> Tensor:
    expected = subject.trained.in_shape
    try:
        image = load_image(path, subject.trained.pipeline, channels=expected[0])
    except UnreadableImageError as error:
        raise DataError(
            f"cannot read the image {path}: {error.reason}",
            remedy=f"give an image file ({', '.join(FORMATS)})",
        ) from error
    except ValueError as error:  # a transform refuses it: too small for a crop, say
        raise UsageError(f"{path}: {error}", remedy="use another image") from error
    if tuple(image.shape[1:]) != expected:
        shapes = [" x ".join(map(str, shape)) for shape in (image.shape[1:], expected)]
        raise UsageError(
            f"{path} is {shapes[0]} after its transforms, but the network takes {shapes[1]} "
            "(channels x height x width)",
            remedy="resize it",
        )
    return image


def short(label: str) -> str:
    """The end of a label, with the folder that an image file lies in."""
    return "/".join(Path(label).parts[-2:])


def _spread(targets: Tensor, count: int) -> list[int]:
    """Positions of the first image of each class, then of the second of each, and so on."""
    seen: dict[int, int] = {}
    ranked = []
    for number, target in enumerate(targets.tolist()):
        seen[target] = seen.get(target, 0) + 1
        ranked.append((seen[target], target, number))
    return [number for _, _, number in sorted(ranked)[:count]]
