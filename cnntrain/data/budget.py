"""How much memory the images that are being decoded take at once: large ones wait for each other.

One budget serves all threads of a run and, once worker processes are started, these as well.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from typing import Any

from PIL import Image

from cnntrain.data.strips import BYTES, STRIP, takes_pages

MEGABYTES = 1000
"""That may be held at once; an image that needs more is not read."""

WHOLE_FILE = ("WEBP", "AVIF", "HEIC", "HEIF")
"""Formats whose files are read as a whole; Pillow calls HEIC so, or HEIF."""

_DECODERS = {"WEBP": 12, "AVIF": 12, "HEIF": 12}
"""Bytes per pixel that a decoder holds besides: two canvases and a copy; planes and a copy."""

_WORKING = 12
"""Bytes per pixel of a strip while it is converted: at most three copies of 32 bits."""

_job = threading.local()


def megabytes(image: Image.Image, mode: str, *, full_pixels: int, file_bytes: int) -> int:
    """Memory for decoding an image that is open, and for the tensor that is made of it.

    Args:
        image: not loaded yet; a JPEG may be set to a reduced size.
        mode: `L` or `RGB`, into which it is converted.
        full_pixels: those that the file has.
        file_bytes: of the file, which some decoders read as a whole.
    """
    stored, result = BYTES.get(image.mode, 4), BYTES[mode]
    pixels, form = image.width * image.height, image.format or ""
    decoding = pixels * (stored + _DECODERS.get(form, 0)) + file_bytes * (form in WHOLE_FILE)
    if "progressive" in image.info:  # 16-bit coefficients, at the full size, whatever is made of it
        decoding += 2 * len(image.getbands()) * full_pixels
    if form == "TIFF":
        decoding += _strip(image, file_bytes)
    # each may be turned
    upright = max(stored, result) if takes_pages(image) else stored + result
    tensor = result + len(mode)
    strip = min(pixels, STRIP) * (stored + _WORKING)
    return -(-max(decoding, pixels * max(upright, tensor) + strip) // 10**6)


def _strip(image: Any, file_bytes: int) -> int:
    """Bytes of a compressed strip or tile and of its pixels: it may be the whole image."""
    if not image.tile or image.tile[0].codec_name == "raw":
        return 0
    tags = image.tag_v2
    strips = len(tags.get(273) or tags.get(324) or (0,))
    samples = sum(tags.get(258) or (1,)) / 8
    return int(image.width * image.height * samples + file_bytes) // strips


class Budget:
    """Megabytes that threads may hold at once, and processes where it is shared.

    Args:
        megabytes: in all; who wants more gets all.
        context: of the processes that it is handed to when they are started, if there are any.
    """

    def __init__(self, megabytes: int = MEGABYTES, *, context: BaseContext | None = None) -> None:
        kind: Any = context or threading
        self.context = context
        self._most = megabytes
        self._free = kind.Semaphore(megabytes)
        self._turn = kind.Lock()  # whoever waits is not overtaken for ever by smaller images

    @contextmanager
    def job(self) -> Iterator[None]:
        """What the thread takes inside of the block is held until its end."""
        _job.held = 0
        try:
            yield
        finally:
            held, _job.held = _job.held, None
            self._give(held)

    @contextmanager
    def held(self, megabytes: int) -> Iterator[None]:
        """Wait for so many, and hold them: to the end of the thread's job, or else of the block.

        A job that holds some already does not wait: two could wait for each other.
        """
        held = getattr(_job, "held", None)
        if held:
            yield
            return
        wanted, taken = min(megabytes, self._most), 0
        try:
            with self._turn:
                while taken < wanted:
                    self._free.acquire()
                    taken += 1
            if held is not None:
                _job.held, taken = taken, 0
            yield
        finally:
            self._give(taken)

    def _give(self, megabytes: int) -> None:
        if self.context is None and megabytes:
            self._free.release(megabytes)
            return
        for _ in range(megabytes):  # one at a time is all that processes can
            self._free.release()
