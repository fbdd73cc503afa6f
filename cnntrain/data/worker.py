"""What a worker process does for the stream: it reads and sizes one image after the other."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from cnntrain.core.errors import DataError, PluginError
from cnntrain.core.plugins import plugin_failure
from cnntrain.core.seeding import derive_seed
from cnntrain.data.decode import UnreadableImageError, one_job
from cnntrain.data.pipeline import Pipeline
from cnntrain.data.shared_memory import no_shared_memory
from cnntrain.data.splits import Files, Part, from_picture
from cnntrain.data.transform_errors import TransformError
from cnntrain.data.transform_parts import Showing
from cnntrain.data.windows import (
    HeightWidth,
    Picture,
    Windows,
    cut_fast,
    reduction_factor,
    shrunk,
    size_of,
)

Key = tuple[int, int, int]
"""Epoch, place in its order, position of the image."""

Target = int | list[float]
"""Of one image."""


@dataclass(frozen=True)
class Failure:
    """Errors travel from a worker as plain data: re-raised ones would carry its traceback."""

    error: UnreadableImageError | TransformError | DataError | PluginError
    label: str

    def to_raise(self) -> Exception:
        """The error, with the image it is about."""
        if not isinstance(self.error, TransformError):
            return self.error
        reason = f"{self.label}: {self.error.reason}"
        return TransformError(self.error.position, self.error.name, reason)


class ImageReader(Dataset[tuple[Tensor, Target, int] | Failure]):
    """Reads one image at a time; can be sent to any process.

    Args:
        part: the split.
        head: sizing transforms, applied by Pillow.
        single: the transforms after them that work image by image.
        seed: of the run.
        draft: whether pixels may be other than Pillow's of the whole image: JPEGs are decoded at
            a reduced size, by the decoder that the part names.
        channels_last: the order of the pixels in memory, with which batches are made fastest.
        threads: images of a batch that are read at once; decoders let other threads run.
    """

    def __init__(
        self,
        part: Part,
        head: Pipeline,
        single: Pipeline,
        *,
        seed: int,
        draft: bool,
        channels_last: bool = False,
        threads: int = 1,
    ) -> None:
        self._part = part
        self._transforms: tuple[Pipeline, Pipeline] | DataError = (head, single)
        self._seed = seed
        self._draft = draft
        self._channels_last = channels_last
        self._threads = threads

    def __getstate__(self) -> dict[str, Any]:
        """The transforms are packed by themselves: their classes may be a user's."""
        try:
            return {**self.__dict__, "_transforms": pickle.dumps(self._transforms)}
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise DataError(
                f"the transforms cannot be sent to the worker processes: {error}",
                remedy="make the transform a class at the top level of its file whose values can "
                "be pickled, or set `data.workers: 0`",
            ) from error

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        try:
            self._transforms = pickle.loads(state["_transforms"])
        except Exception as error:  # noqa: BLE001  # whatever a user's file does wrong is the user's to see
            # not raised here: the worker would die without a word
            self._transforms = DataError(
                f"a worker process cannot import the transforms: {type(error).__name__}: {error}",
                remedy="make the plugin's file importable in a process of its own, or set "
                "`data.workers: 0`",
            )

    def __getitems__(self, keys: Sequence[Key]) -> list[tuple[Tensor, Target, int] | Failure]:
        """A batch, in order; torch's DataLoader asks for it."""
        if self._threads == 1:
            return [self[key] for key in keys]
        with ThreadPoolExecutor(self._threads, thread_name_prefix="read image") as pool:
            return list(pool.map(self.__getitem__, keys))

    def __getitem__(self, key: Key) -> tuple[Tensor, Target, int] | Failure:
        epoch, place, index = key
        if isinstance(self._transforms, DataError):
            return Failure(self._transforms, self._part.label(index))
        head, single = self._transforms
        # not from its index: an image that comes twice is not to come twice the same
        seed = derive_seed(self._seed, "image", epoch, place)
        generator = torch.Generator()
        is_random = head.is_random or single.is_random
        if is_random:
            generator.manual_seed(seed)
        try:
            with one_job(), Pipeline(head.steps + single.steps).drawing(seed):
                picture = self._sized(index, head, generator if is_random else None)
                pixels = from_picture(picture, channels_last=self._channels_last)
                if single.steps:
                    shown = Showing(torch.tensor([index]), epoch, self._seed)
                    pixels = single.applied(pixels[None], generator, None, shown)[0]
        except (UnreadableImageError, TransformError) as error:
            return Failure(error, self._part.label(index))
        except Exception as error:
            failure = plugin_failure(error)
            if failure is not None:
                return Failure(failure, self._part.label(index))
            raise
        return pixels, self._part.targets[index].tolist(), index

    def _sized(self, index: int, head: Pipeline, generator: torch.Generator | None) -> Picture:
        """One image, decoded and sized; a JPEG is decoded smaller where its first window allows."""
        drawn: list[tuple[HeightWidth, Windows]] = []

        def reduction(size: HeightWidth) -> float:
            with suppress(TransformError):  # met again below: the file itself is not to blame
                drawn.append((size, head.windows(0, size, generator)))
            return reduction_factor(drawn[0][1]) if drawn else 1.0

        part, wanted = self._part, reduction if self._draft and head.steps else None
        if self._draft and isinstance(part, Files):
            picture = part.read(index, wanted)
        else:
            picture = part.open(index, wanted)
        if not drawn:
            return head.picture(picture, generator)
        (original, windows), actual = drawn[0], size_of(picture)
        picture = cut_fast(picture, shrunk(windows, original=original, actual=actual))
        return Pipeline(head.steps[1:]).picture(picture, generator)


def collate(
    items: Sequence[tuple[Tensor, Target, int] | Failure],
) -> tuple[Tensor | list[Tensor], Tensor, list[int]] | Failure:
    """One batch: images (a list where sizes differ), targets, positions; or the first failure."""
    read = []
    for item in items:
        if isinstance(item, Failure):
            return item
        read.append(item)
    images, targets, indices = zip(*read, strict=True)
    if not all(image.shape == images[0].shape for image in images):
        return list(images), torch.tensor(targets), list(indices)
    batch, labels = _stacked(images), torch.tensor(targets)
    if get_worker_info() is not None:
        try:  # here, not while it is sent: an error there is printed, and the batch never comes
            for tensor in (batch, labels):
                tensor.share_memory_()  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            return Failure(no_shared_memory(error), "")
    return batch, labels, list(indices)


def _stacked(images: tuple[Tensor, ...]) -> Tensor:
    """`(N, C, H, W)` in the order of the images' memory: rows are copied as they are."""
    if images[0].is_contiguous():
        return torch.stack(images)
    return torch.stack([image.permute(1, 2, 0) for image in images]).permute(0, 3, 1, 2)
