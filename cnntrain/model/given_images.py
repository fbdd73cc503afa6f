"""The images that a network gives, as files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from cnntrain.core.errors import UsageError
from cnntrain.core.whole_folder import filled_whole
from cnntrain.model.predict import Prediction
from cnntrain.model.sorted_folders import untaken

_CHANNELS = (1, 3, 4)
"""That PNG has: grey, colours, colours with an alpha channel."""


def write_images(folder: Path, found: Sequence[Prediction]) -> int:
    """Write what a network gives into `folder/NAME.png`, 8 bits a channel; all of them, or none.

    Each is named as the image that it was given, equal names with a number: `IMG_1-2.png`.

    Args:
        folder: new or empty, see `filled_whole`.
        found: those without pixels, such as of images that cannot be read, are left out.

    Returns:
        How many were written.

    Raises:
        UsageError: none is an image, or they are of a number of channels that PNG does not have.
        DiskError: no space, no permission.
    """
    given = [(each.name, getattr(each.answer, "pixels", None)) for each in found]
    files = [(name, _png(pixels)) for name, pixels in given if isinstance(pixels, Tensor)]
    if not files:
        raise UsageError("the network gives no image to be written", remedy="leave --out out")
    taken: set[str] = set()
    with filled_whole(folder, needed=sum(len(content) for _, content in files)) as temporary:
        for name, content in files:
            (temporary / untaken(Path(name).stem, "-", ".png", taken)).write_bytes(content)
    return len(files)


def _png(pixels: Tensor) -> bytes:
    """Of `(C, H, W)` from 0 to 1."""
    if len(pixels) not in _CHANNELS:
        message = f"a PNG file has 1, 3 or 4 channels, and the network gives {len(pixels)}"
        raise UsageError(message, remedy="leave --out out")
    array = (255 * pixels).round().to(torch.uint8).permute(1, 2, 0).numpy()
    made = io.BytesIO()
    Image.fromarray(array[..., 0] if len(pixels) == 1 else array).save(made, "PNG")
    return made.getvalue()
