"""What is not opened as an image, or not decoded: no files, and decompression bombs."""

from __future__ import annotations

import stat
from pathlib import Path

from PIL import Image

from cnntrain.data.budget import MEGABYTES, WHOLE_FILE
from cnntrain.data.left_out import image_format

MAX_PIXELS = 89_478_485
"""Pillow's own bound above which it suspects a decompression bomb (256 MiB of RGB)."""

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def refuse_no_file(path: Path) -> None:
    """Before it is opened: a pipe would wait for ever, a device may never end, a file be huge."""
    status = path.stat()
    if kind := _KINDS.get(stat.S_IFMT(status.st_mode)):
        raise ValueError(f"it is {kind}, not a file")
    if status.st_size > MEGABYTES * 10**6 // 4 and image_format(path) in WHOLE_FILE:
        raise ValueError(f"a file of {status.st_size:,} bytes, of which the decoder needs all")


def refuse_bomb(image: Image.Image) -> None:
    """Before it is decoded: a small file may have pixels that fill the memory."""
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(
            f"{image.width} x {image.height} pixels, more than {MAX_PIXELS:,}: "
            "suspected decompression bomb"
        )
