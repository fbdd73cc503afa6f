"""The two ways in which images are stored: pixels in memory, and files.

A data set's function returns `Splits` of them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cnntrain.core.errors import DataError
from cnntrain.core.kinds import Bits, Decoder
from cnntrain.core.target_forms import TargetForm
from cnntrain.data.decode import decode, decode_fast, header_size
from cnntrain.data.left_out import LeftOut
from cnntrain.data.path_list import PathList
from cnntrain.data.stored_images import StoredImages, shortened
from cnntrain.data.strips import strips
from cnntrain.data.windows import Picture
from cnntrain.show.tables import write_csv
from cnntrain.tasks.targets import Targets, measured

Reduction = Callable[[tuple[int, int]], float]


@dataclass(frozen=True)
class Pixels:
    """Images in memory.

    Args:
        images: `(N, C, H, W)` uint8.
        targets: `(N,)` int64, or `(N, K)` float32; see `cnntrain.tasks.targets`.
    """

    images: Tensor
    targets: Tensor

    def __post_init__(self) -> None:
        assert self.images.dtype == torch.uint8
        assert self.images.ndim == 4
        _refuse_targets(self.targets, images=len(self.images))

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def channels(self) -> int:
        """Channels of every image."""
        return int(self.images.shape[1])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every image."""
        return int(self.images.shape[2]), int(self.images.shape[3])

    def size_of(self, index: int) -> tuple[int, int]:
        """Height and width of one image."""
        del index  # they are all of one size
        return self.size

    def label(self, index: int) -> str:
        """What to call an image in a message."""
        return f"image {index}"

    def select(self, indices: Tensor) -> Pixels:
        """The images at these positions."""
        return Pixels(self.images[indices], self.targets[indices])

    def open(self, index: int, reduction: Reduction | None = None) -> Image.Image:
        """One image; 1 or 3 channels."""
        del reduction  # nothing is gained: the pixels are there
        return to_picture(self.images[index])


@dataclass(frozen=True)
class Files:
    """Images in files.

    Args:
        paths: `N` files; they are kept as a `PathList`.
        targets: `(N,)` int64, or `(N, K)` float32; see `cnntrain.tasks.targets`.
        channels: 1 or 3, to which all are converted.
        bits: that the values of 16-bit files have; see `cnntrain.data.depth`.
        decoder: of JPEGs, where `read` is asked.
        stored: the decoded images, where they are in a cache.
    """

    paths: Sequence[Path]
    targets: Tensor
    channels: int
    bits: Bits = "auto"
    decoder: Decoder = "pillow"
    stored: StoredImages | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "paths", PathList(self.paths))
        _refuse_targets(self.targets, images=len(self.paths))

    def __len__(self) -> int:
        return len(self.paths)

    def label(self, index: int) -> str:
        """What to call an image in a message."""
        return str(self.paths[index])

    def select(self, indices: Tensor) -> Files:
        """The files at these positions."""
        numbers = indices.tolist()
        stored = None if self.stored is None else self.stored.select(numbers)
        paths = PathList(self.paths).select(numbers)
        return replace(self, paths=paths, targets=self.targets[indices], stored=stored)

    def open(self, index: int, reduction: Reduction | None = None) -> Image.Image:
        """One image, decoded by Pillow; see `decode`."""
        if self.stored is None:
            return self._decoded(index, reduction)
        return self.stored.picture(index) or self._shortened(index, self.stored.short_side)

    def read(self, index: int, reduction: Reduction | None = None) -> Picture:
        """One image in the fastest way: pixels `(H, W, C)`, not to be written to, or a picture."""
        if self.stored is not None:
            pixels = self.stored.pixels(index)
            return self.open(index) if pixels is None else pixels
        if self.decoder == "pillow":
            return self._decoded(index, reduction)
        return decode_fast(
            self.paths[index], channels=self.channels, bits=self.bits, reduction=reduction
        )

    def size_of(self, index: int) -> tuple[int, int]:
        """Height and width of an image, without decoding it; errors as of `header_size`."""
        if self.stored is None:
            return header_size(self.paths[index])
        return self.stored.size(index)

    def _decoded(self, index: int, reduction: Reduction | None = None) -> Image.Image:
        return decode(
            self.paths[index], channels=self.channels, bits=self.bits, reduction=reduction
        )

    def _shortened(self, index: int, short_side: int) -> Image.Image:
        return shortened(self._decoded(index), short_side)


Part = Pixels | Files


def _refuse_targets(targets: Tensor, *, images: int) -> None:
    form = (targets.ndim, targets.dtype)
    if form not in ((1, torch.int64), (2, torch.float32)) or len(targets) != images:
        found = f"{tuple(targets.shape)} {str(targets.dtype).removeprefix('torch.')}"
        raise ValueError(
            f"{images:,} images have targets (N,) int64 or (N, K) float32, not {found}; return such"
        )


@dataclass(frozen=True)
class Division:
    """How the images of a data set were split.

    Args:
        positions: of each split's images, among those that were split.
        parts: the splits.
        targets: what they are learnt with.
    """

    positions: Mapping[str, Tensor]
    parts: Mapping[str, Part]
    targets: Targets

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Path, target and split of each image; those in memory are called by their position."""
        for split, positions in self.positions.items():
            part = self.parts[split]
            said = self.targets.say_all(part.targets)
            for index, position in enumerate(positions.tolist()):
                name = f"image {position}"
                if isinstance(part, Files):
                    name = str(Path(part.paths[index]).absolute())
                yield name, said[index], split

    def text(self) -> str:
        """The rows as CSV, with a header."""
        file = io.StringIO()
        what = "class" if self.targets.form == "classes" else self.targets.form
        write_csv([("path", what, "split"), *self.rows()], file)
        return file.getvalue()


@dataclass(frozen=True)
class Splits:
    """What a data set's function returns.

    Args:
        classes: the class names; targets are positions in it, in every split. Of numbers and labels
            their names, in the order of the targets' columns.
        train: the training images.
        validation: None when the data set has no validation split of its own.
        test: None when it has no test split.
        notes: what the user should know, one sentence each.
        left_out: files that are not used.
        groups: `(N,)` int64 from 0, of the training images: those of one number, such as all of
            one person, stay together where images are held out; None: each on its own.
        undivided: the data set is not split at all: some images are held out, unless the run file
            says otherwise.
        division: how images were held out; None where they were not.
        form: of the targets, the same in every split.
        forms: of `several`, what they are, each with its names, in the order of the columns.
        whole_train: the training images, where only some of them are trained on; else None.
    """

    classes: tuple[str, ...]
    train: Part
    validation: Part | None = None
    test: Part | None = None
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    groups: Tensor | None = None
    undivided: bool = False
    division: Division | None = None
    form: TargetForm = "classes"
    forms: tuple[tuple[TargetForm, tuple[str, ...]], ...] = ()
    whole_train: Part | None = None

    @cached_property
    def targets(self) -> Targets:
        """What the images are learnt with."""
        return measured(self.form, self.classes, self.train.targets, self.forms)

    @property
    def parts(self) -> dict[str, Part]:
        """The splits that there are, by name."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in parts.items() if part is not None}


def to_picture(pixels: Tensor) -> Image.Image:
    """A `(C, H, W)` uint8 tensor with 1 or 3 channels as a Pillow image."""
    array = pixels.numpy()
    return Image.fromarray(array[0] if len(array) == 1 else array.transpose(1, 2, 0).copy())


def from_picture(picture: Picture, *, channels_last: bool = False) -> Tensor:
    """An image as a `(C, H, W)` uint8 tensor.

    Args:
        picture: of mode `L` or `RGB`, or pixels.
        channels_last: whether the tensor has its channels innermost in memory.
    """
    if not isinstance(picture, Image.Image):
        pixels = torch.from_numpy(np.require(picture, requirements="W")).permute(2, 0, 1)
        return pixels if channels_last else pixels.contiguous()
    bands = picture.getbands()
    if channels_last or len(bands) == 1:
        pixels = torch.empty(picture.height, picture.width, len(bands), dtype=torch.uint8)
        array = pixels.numpy()
        for top, strip in strips(picture):
            rows = np.frombuffer(strip.tobytes(), np.uint8)
            array[top : top + strip.height] = rows.reshape(-1, *array.shape[1:])
        return pixels.permute(2, 0, 1)
    planes = torch.empty(len(bands), picture.height, picture.width, dtype=torch.uint8)
    for top, strip in strips(picture):
        for band, plane in zip(bands, planes.numpy(), strict=True):  # Pillow packs one as fast
            rows = np.frombuffer(strip.tobytes("raw", band), np.uint8)
            plane[top : top + strip.height] = rows.reshape(-1, picture.width)
    return planes


def different_sizes(part: Part, name: str, images: Sequence[tuple[int, Tensor]]) -> DataError:
    """The error for images of a split, with their positions, that cannot be in one batch."""
    first, a = images[0]
    other, b = next((at, image) for at, image in images if image.shape != a.shape)
    return DataError(
        f"the {name} images are not all of one size: {part.label(first)} is "
        f"{a.shape[1]} x {a.shape[2]}, {part.label(other)} is {b.shape[1]} x {b.shape[2]}",
        remedy="add `resize: {size: [height, width]}`, or a resize and a crop, to both transform "
        "lists",
    )
