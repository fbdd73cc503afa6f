"""One image file, seen as evaluation sees it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from cnntrain.data.decode import decode
from cnntrain.data.pipeline import Pipeline
from cnntrain.data.splits import from_picture


def load_pixels(path: Path, pipeline: Pipeline, *, channels: int) -> Tensor:
    """`(1, C, H, W)` uint8: decoded and brought to size, before anything else.

    Args:
        path: an image file.
        pipeline: the evaluation transforms.
        channels: of the network's input: 1 or 3; the image is converted.

    Raises:
        UnreadableImageError: the file cannot be decoded.
        TransformError: a transform is impossible on it.
    """
    head, _ = pipeline.divide(random_in_worker=False)
    return from_picture(head.picture(decode(path, channels=channels), None)).contiguous()[None]


def load_image(path: Path, pipeline: Pipeline, *, channels: int) -> Tensor:
    """`(1, C, H, W)` float32, bit for bit what evaluation of the same image gives the network.

    Evaluation sizes images one by one with Pillow, in memory or streaming, as this function does,
    and every later transform works on each pixel or image alone.
    """
    _, tail = pipeline.divide(random_in_worker=False)
    return tail(load_pixels(path, pipeline, channels=channels), torch.Generator())
