"""Images to be classified: files, folders, and what is in memory already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from cnntrain.core.errors import UsageError
from cnntrain.core.kinds import Bits
from cnntrain.data.decode import UnreadableImageError, converted
from cnntrain.data.depth import refuse_above
from cnntrain.data.given_files import list_given, refuse_no_image
from cnntrain.data.left_out import LeftOut
from cnntrain.data.splits import Files, Part, Pixels, from_picture, to_picture

One: TypeAlias = str | Path | Image.Image | NDArray[np.uint8] | NDArray[np.uint16] | Tensor
Images: TypeAlias = One | Sequence[One]
"""A file, a folder of files or a pattern (`photos/*.jpg`); a Pillow image; an array (H, W) or
(H, W, C), or a tensor (C, H, W) or (N, C, H, W), of uint8, or of uint16 whose values have
`data.bits`; or several of these."""

_DECODED = (1, 3)
"""Numbers of channels that Pillow converts into each other."""

_LOADING = Lock()  # Pillow loads an image when it is used first, and one may be given twice


@dataclass(frozen=True)
class Input:
    """One image, not read yet.

    Args:
        name: what to call it.
        source: a file, a Pillow image, or pixels (C, H, W) uint8, or int32 of 16 bits.
    """

    name: str
    source: Path | Image.Image | Tensor

    def part(self, channels: int, bits: Bits = "auto") -> Part:
        """A part of one image, with the network's channels.

        Raises:
            UnreadableImageError: it is a Pillow image that cannot be read, or a value has more
                bits.
        """
        target = torch.zeros(1, dtype=torch.int64)
        source = self.source
        if isinstance(source, Path):
            return Files((source,), target, channels, bits)
        if isinstance(source, Tensor) and source.dtype != torch.uint8:
            source = self._eight_bits(source, 16 if bits == "auto" else bits)
        if isinstance(source, Tensor) and len(source) != channels:
            source = to_picture(source)
        if isinstance(source, Image.Image):
            with _LOADING:
                source = from_picture(
                    converted(source, channels=channels, name=self.name, bits=bits)
                )
        return Pixels(source[None], target)

    def _eight_bits(self, pixels: Tensor, bits: int) -> Tensor:
        try:
            refuse_above(int(pixels.max()), bits)
        except ValueError as error:
            raise UnreadableImageError(Path(self.name), str(error)) from error
        return (pixels >> (bits - 8)).to(torch.uint8)


def inputs(images: Images, *, channels: int) -> list[Input]:
    """The images one by one; those in folders, and in what is inside them, in order.

    Hidden files and folders are passed over; other files that are not taken are in `left_out`. Of a
    part of the images that is in memory the name is its position: `image 0`.

    Args:
        images: see `Images`.
        channels: of the network's images; grey and RGB are converted.

    Raises:
        UsageError: a path does not exist, there is no image at all, or an array or a tensor has
            another type or shape.
    """
    given = _one_by_one(images)
    found: list[Input] = []
    for each in given:
        if isinstance(each, str | Path):
            found += [Input(str(file), file) for file in list_given([Path(each)]).images]
        else:
            found += [
                Input(f"image {len(found) + number}", source)
                for number, source in enumerate(_in_memory(each, channels))
            ]
    if not found:
        paths = _paths(images)
        refuse_no_image(list_given(paths), given=paths)
    return found


def left_out(images: Images) -> tuple[LeftOut, ...]:
    """The files in folders, and in what is inside them, that `inputs` does not take."""
    return list_given([path for path in _paths(images) if path.is_dir()]).left_out


def _one_by_one(images: Images) -> Sequence[Any]:
    several = isinstance(images, Sequence) and not isinstance(images, str)
    return images if several else [images]  # type: ignore[return-value]


def _paths(images: Images) -> list[Path]:
    return [Path(each) for each in _one_by_one(images) if isinstance(each, str | Path)]


def _in_memory(image: object, channels: int) -> Sequence[Image.Image | Tensor]:
    """A Pillow image, or the images of an array or a tensor, (C, H, W) each."""
    if isinstance(image, Image.Image):
        return [image]
    if isinstance(image, np.ndarray):
        what, shapes, axes = "an array", "(H, W) or (H, W, C)", (2, 3)
    elif isinstance(image, Tensor):
        what, shapes, axes = "a tensor", "(C, H, W) or (N, C, H, W)", (3, 4)
    else:
        raise UsageError(
            f"a {type(image).__name__} is not an image",
            remedy="give a path, a Pillow image, an array, a tensor, or a list of these",
        )
    shape, kind = tuple(image.shape), str(image.dtype).removeprefix("torch.")
    if kind not in ("uint8", "uint16") or len(shape) not in axes or 0 in shape:
        raise UsageError(
            f"{what} of pixels is uint8 {shapes}, not {kind} {shape}",
            remedy="pixels go from 0 to 255, as they are in a file: `predict` prepares them",
        )
    if isinstance(image, Tensor):
        pixels = image.detach().cpu()
        pixels = pixels if kind == "uint8" else pixels.to(torch.int32)
    else:
        pixels = torch.tensor(image.astype(np.uint8 if kind == "uint8" else np.int32))
        pixels = pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)
    count = pixels.shape[-3]
    if count != channels and not {count, channels} <= set(_DECODED):
        raise UsageError(
            f"{what} {shape} has {count} channels, but the network reads {channels}",
            remedy=f"{what} is {shapes}, with C = {channels}",
        )
    return list(pixels) if pixels.ndim == 4 else [pixels]
