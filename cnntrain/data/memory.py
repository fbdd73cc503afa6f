"""Choosing between loading from memory and streaming."""

from __future__ import annotations

from typing import Literal

import torch

from cnntrain.core.errors import DataError
from cnntrain.data.batch import Batching, Loader
from cnntrain.data.decode import header_size
from cnntrain.data.pipeline import Pipeline, TransformError
from cnntrain.data.resident import ResidentLoader, read_pixels
from cnntrain.data.splits import Files, Part, Pixels
from cnntrain.data.stream import StreamLoader
from cnntrain.data.windows import HeightWidth, Sizing

RESIDENT_BYTES = 2 * 1024**3
"""Image files are kept decoded in memory up to this many bytes a split."""

LARGE = 256 * 256
"""Pixels of an image above which a CPU decodes it again rather than resize it as a batch."""

Memory = Literal["auto", "resident", "stream"]


def make_loader(
    part: Part, pipeline: Pipeline, *, name: str, memory: Memory, workers: int, batching: Batching
) -> Loader:
    """The loader that suits a split.

    Args:
        part: the split.
        pipeline: its transforms.
        name: of the split, for messages.
        memory: what the user wants.
        workers: processes, if it streams.
        batching: size, order and place of the batches.
    """
    head, tail = pipeline.divide(random_in_worker=False)
    resident = _fits(part, head) and not _reads_faster(part, head, tail, batching.device)
    if memory == "resident" or (memory == "auto" and resident):
        pixels = read_pixels(part, head, name=name)
        return ResidentLoader(pixels, pipeline=tail, batching=batching)
    return StreamLoader(part, name=name, pipeline=pipeline, batching=batching, workers=workers)


def _fits(part: Part, head: Pipeline) -> bool:
    """Whether a split can be kept in memory: pixels always can, files within the budget.

    Files must come out in one size without anything random; without a transform that fixes the
    size their headers tell.
    """
    if isinstance(part, Pixels):
        return True
    size = _fixed_size(part, head)
    return size is not None and len(part) * part.channels * size[0] * size[1] <= RESIDENT_BYTES


def _reads_faster(part: Part, head: Pipeline, tail: Pipeline, device: torch.device) -> bool:
    """Whether decoding again is cheaper than cutting windows out of images in memory.

    On the device a batch of windows is resized by matrix products over whole images. That is
    nothing for a GPU, but on a CPU, for large images, it takes longer than Pillow takes for all.
    """
    first = tail.steps[0].transform if tail.steps else None
    if isinstance(part, Pixels) or device.type != "cpu" or not isinstance(first, Sizing):
        return False
    size = _fixed_size(part, head)
    if size is None or size[0] * size[1] <= LARGE:
        return False
    generator = torch.Generator().manual_seed(0)
    return first.windows(size, count=1, generator=generator).scaled


def _fixed_size(part: Files, head: Pipeline) -> HeightWidth | None:
    shapes = {(4096, 4096), (4096, 6144)}
    try:
        found = {head.output_size(shape) for shape in shapes}
        if len(found) > 1:
            found = {head.output_size(header_size(path)) for path in part.paths}
    except (TransformError, DataError):
        return None  # the stream meets the same file and tells
    return found.pop() if len(found) == 1 else None
