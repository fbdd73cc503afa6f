"""Most JPEGs by a faster decoder than Pillow's, to which everything else is left."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFile


def decode_jpeg(image: ImageFile.ImageFile, *, mode: str) -> NDArray[np.uint8] | None:
    """The pixels `(H, W, C)` of a JPEG by simplejpeg (libjpeg-turbo); None: Pillow is to read it.

    Args:
        image: opened by Pillow and not loaded; it may be set to a reduced size.
        mode: `L` or `RGB`; an image of another mode is Pillow's to convert.
    """
    file = image.fp
    if image.format != "JPEG" or image.mode != mode or file is None:
        return None
    library: Any = importlib.import_module("simplejpeg")  # an extra
    file.seek(0)
    try:
        pixels: NDArray[np.uint8] = library.decode_jpeg(
            file.read(),
            colorspace="RGB" if mode == "RGB" else "GRAY",
            min_height=image.height,
            min_width=image.width,
            strict=True,  # a warning, such as of missing data, is Pillow's to judge
        )
    except ValueError:
        return None
    # a frame of another size than the one that Pillow has found
    return pixels if pixels.shape == (image.height, image.width, len(mode)) else None
