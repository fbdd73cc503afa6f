"""Pictures a strip at a time: a large one is in memory once, also while it is converted or turned.

Pillow makes a new picture of each step, next to the old one. Here a file is decoded into pages that
can be given back, and each is as soon as its pixels stand in the new picture.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image, ImageFile

from cnntrain.data.depth import largest_value, note_depth, to_8_bits

BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2, "RGB": 4}
"""Of a pixel in Pillow's memory; 4 in other modes."""

STRIP = 1_000_000
"""Pixels that are worked on at a time."""

ORIENTATION = 0x0112
_TURNS = dict(enumerate(
    (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM,
     Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE,
     Image.Transpose.ROTATE_90), start=2))  # fmt: skip
"""What makes a picture of an EXIF orientation upright."""
_ROWS_TO_COLUMNS = (5, 6, 7, 8)
_FROM_THE_END = (3, 4, 6, 7)
"""Orientations whose first stored row is the last row or column of the upright picture."""


def strips(picture: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The first row of each strip, and the strip; a small picture is one, and not copied."""
    width, height = picture.im.size
    rows = max(1, STRIP // max(1, width))
    if rows >= height:
        yield 0, picture
        return
    for top in range(0, height, rows):
        yield top, picture.crop((0, top, width, min(top + rows, height)))


def load(image: ImageFile.ImageFile) -> tuple[Any, mmap.mmap | None]:
    """Decode, and do not turn: the EXIF orientation, and the pages of a large picture."""
    image.filename = ""  # or Pillow maps raw pixels from the file: those of a turned TIFF wrongly
    pages = _pages(image)
    # before it is loaded, or Pillow would turn it
    orientation = _orientation(image) if image.format == "TIFF" else 1
    image.load()
    return orientation if orientation != 1 else _orientation(image), pages


def upright(
    picture: Image.Image,
    mode: str,
    *,
    orientation: int = 1,
    deep: int | None = None,
    pages: mmap.mmap | None = None,
) -> Image.Image:
    """A picture in mode `L` or `RGB`, turned as its orientation has it.

    Args:
        picture: loaded; its pixels are gone afterwards, if they lie in `pages`.
        mode: of the result.
        orientation: EXIF's; numbers without a meaning are passed over.
        deep: the bits of its values, where they are more than 8; see `bits_of`.
        pages: in which the picture may lie, of which each is given back when it is not needed.

    Raises:
        ValueError: its mode is not taken, or a value has more bits.
    """
    turn, (width, height) = _TURNS.get(orientation), picture.im.size
    if picture.mode == mode and turn is None:
        return picture
    largest = 0 if deep is None else largest_value((each for _, each in strips(picture)), deep)
    across = orientation in _ROWS_TO_COLUMNS
    # without a colour, so that memory is taken where pixels are written, and not before
    result = Image.new(mode, (height, width) if across else (width, height), None)
    for top, strip in strips(picture):
        part = _convert(strip, mode, deep)
        part = part if turn is None else part.transpose(turn)
        if part.size == result.size:
            result = part
            break
        bottom = top + strip.height
        first = height - bottom if orientation in _FROM_THE_END else top
        result.paste(part, (first, 0) if across else (0, first))
        if pages is not None:
            used = len(pages) * bottom // height // mmap.PAGESIZE * mmap.PAGESIZE
            pages.madvise(mmap.MADV_DONTNEED, 0, used)
    if deep is not None:
        note_depth(result, largest=largest, bits=deep)
    return result


def early_exif(image: Image.Image, path: Path) -> Image.Exif:
    """As Pillow has it, but of a PNG only decoded where text follows its pixels."""
    if image.format == "PNG" and not _has_late_text(path):
        return Image.Image.getexif(image)
    return image.getexif()


def _has_late_text(png: Path) -> bool:
    """Whether a chunk that can hold an orientation follows the pixels."""
    with png.open("rb") as file:
        file.seek(len(b"\x89PNG\r\n\x1a\n"))
        behind = False
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"IEND" or (behind and kind in (b"eXIf", b"tEXt", b"zTXt", b"iTXt")):
                return bool(kind != b"IEND")
            behind |= kind == b"IDAT"
            file.seek(length + 4, 1)  # a checksum follows
    return False


def takes_pages(image: Image.Image) -> bool:
    """Whether a picture is so large that it is decoded into pages, where there are any.

    Not of mode `1`, which Pillow cannot; a GIF is decoded into memory of Pillow's own.
    """
    is_large = image.width * image.height > STRIP and image.mode != "1" and image.format != "GIF"
    return is_large and hasattr(mmap, "MADV_DONTNEED")


def _pages(image: ImageFile.ImageFile) -> mmap.mmap | None:
    """Memory into which Pillow will decode; None: its own."""
    if not takes_pages(image):
        return None
    width, height = getattr(image, "_tile_size", image.size)  # of a TIFF as it is stored
    length = width * height * BYTES.get(image.mode, 4)
    pages = mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    how = (pages, (width, height), "raw", 0, (image.mode, 0, 1))
    image.im = Image.core.map_buffer(*how)  # type: ignore[attr-defined]  # frombuffer has few modes
    return pages


def is_turned(image: Image.Image) -> bool:
    """Whether EXIF says that it is to be turned; a PNG is loaded for that."""
    return bool(image.getexif().get(ORIENTATION, 1) != 1)


def _orientation(image: Image.Image) -> Any:
    """As EXIF has it, and no longer has it then."""
    return image.getexif().pop(ORIENTATION, 1)


def _convert(image: Image.Image, mode: str, deep: int | None) -> Image.Image:
    if image.mode == mode:
        return image
    if deep is not None:
        return to_8_bits(image, deep).convert(mode)
    if image.mode in ("I", "F"):
        raise ValueError(
            f"32-bit or signed pixels (mode {image.mode}); save it with 8 bits a channel"
        )
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert(mode)
