"""A JPEG is decoded at a reduced size where its first window allows."""

from __future__ import annotations

import torch
from PIL import Image

from cnntrain.data.pipeline import Pipeline, TransformError
from cnntrain.data.windows import HeightWidth, Windows, cut_picture, reduction_factor, shrunk


class FirstWindow:
    """Draws the first window from a JPEG's header, so that the file may be decoded smaller.

    Args:
        pipeline: sizing transforms.
        generator: the image's own.
    """

    def __init__(self, pipeline: Pipeline, generator: torch.Generator | None) -> None:
        self._pipeline = pipeline
        self._generator = generator
        self._drawn: tuple[HeightWidth, Windows] | None = None
        self._failed: TransformError | None = None

    def __call__(self, size: HeightWidth) -> float:
        """By which factor the image may be shrunk while it is decoded."""
        if not self._pipeline.steps:
            return 1.0
        try:
            self._drawn = (size, self._pipeline.windows(0, size, self._generator))
        except TransformError as error:  # reported by `finish`: the file itself is not to blame
            self._failed = error
            return 1.0
        return reduction_factor(self._drawn[1])

    def finish(self, picture: Image.Image) -> Image.Image:
        """Apply all transforms, the first with the window that was drawn."""
        if self._failed is not None:
            raise self._failed
        if self._drawn is None:
            return self._pipeline.picture(picture, self._generator)
        original, windows = self._drawn
        actual = (picture.height, picture.width)
        picture = cut_picture(picture, shrunk(windows, original=original, actual=actual))
        return Pipeline(self._pipeline.steps[1:]).picture(picture, self._generator)
