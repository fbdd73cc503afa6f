"""Torn copies: files that break off, zeros from there on.

Pillow finds most of them, because what it decodes ends too early. It does not where zeros are data
like others (BMP, PPM, TIFF), where a decoder continues with them (WebP, JPEG, LZW), or where
checksums are not compared (PNG). Only files that end in zeros, and all PNGs, cost more than a look
at the last bytes.
"""

from __future__ import annotations

import os
import zlib
from io import BytesIO
from typing import IO, Any

from PIL import Image

BLOCK = 512
"""Bytes; copies break off at a multiple of it, which raw pixels are asked for."""
FEW = 16
"""Zeros that compressed data may end in by themselves."""
_LOOK = 1 << 16
_END = b"\xff\xd9"  # of a JPEG
_JPEG = 7  # as TIFF numbers it
_PIXELS = (b"VP8 ", b"VP8L", b"ALPH", b"ANMF")


def refuse_torn(image: Image.Image) -> None:
    """Look at the file of an image that is open and not loaded yet.

    Raises:
        ValueError: its end is missing.
    """
    file: IO[bytes] | None = getattr(image, "fp", None)
    if file is None:
        return
    place = file.tell()
    try:
        size = file.seek(0, os.SEEK_END)
        if image.format == "PNG":
            _refuse_png(file)
            return
        zeros = _zeros_at(file, size)
        torn = zeros < size and _is_torn(image, file, zeros, size)
    finally:
        file.seek(place)
    if torn:
        raise ValueError(f"its end is missing: zeros from byte {zeros:,} of {size:,} on")


def _zeros_at(file: IO[bytes], size: int) -> int:
    """Where the zeros begin that the file ends in; its size where it ends in none."""
    end, look = size, FEW
    while end > 0:
        start = max(0, end - look)
        file.seek(start)
        kept = file.read(end - start).rstrip(b"\0")
        if kept:
            return start + len(kept)
        end, look = start, _LOOK
    return 0


def _is_torn(image: Image.Image, file: IO[bytes], zeros: int, size: int) -> bool:
    match image.format:
        case "JPEG" | "MPO":
            return not _ends_jpeg(file, zeros)
        case "GIF":  # its last byte may be missing, and the one before is a zero
            file.seek(max(0, zeros - 1))
            return size - zeros > 2 and file.read(1) != b";"
        case "TIFF":
            return _is_torn_tiff(image, file, zeros, size)
        case _ if size - zeros < FEW:
            return False
        case "AVIF" | "HEIF":
            return True
        case "WEBP":
            return _is_torn_webp(file, zeros)
        case "BMP" | "PPM":
            return _is_torn_raw(image, file, zeros, size)
    return False


def _refuse_png(file: IO[bytes]) -> None:
    """Compare the checksums of the pixels' chunks, and look for the last chunk."""
    file.seek(8)
    while True:
        head = file.read(8)
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if len(head) < 8 or length > 0x7FFFFFFF:
            raise ValueError("image file is truncated")
        if kind == b"IEND":
            return
        if kind != b"IDAT":
            file.seek(length + 4, os.SEEK_CUR)
            continue
        found = zlib.crc32(kind)
        while length > 0:  # a chunk may be as large as the file
            pixels = file.read(min(length, _LOOK))
            if not pixels:
                raise ValueError("image file is truncated")
            found, length = zlib.crc32(pixels, found), length - len(pixels)
        if found != int.from_bytes(file.read(4), "big"):
            raise ValueError("a checksum of its pixels is wrong")


def _ends_jpeg(file: IO[bytes], zeros: int) -> bool:
    """Whether the mark of its end comes after its pixels; zeros may follow that."""
    file.seek(0)
    content = file.read(zeros)
    if content.endswith(_END):
        return True
    at = 2
    while 0 <= at < len(content) - 1:
        mark = content[at + 1]
        if content[at] != 0xFF or mark == 0xD9:
            return mark == 0xD9
        if mark == 0xFF:
            at += 1
            continue
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if mark == 0xDA:  # after the head of a scan come pixels, up to the next mark
            at = content.find(b"\xff", at)
            while 0 <= at < len(content) - 1 and (
                content[at + 1] == 0 or 0xD0 <= content[at + 1] <= 0xD7
            ):
                at = content.find(b"\xff", at + 2)
    return False


def _is_torn_webp(file: IO[bytes], zeros: int) -> bool:
    """Whether the zeros begin where a chunk should, or the pixels' data cannot end in them."""
    file.seek(0)
    content = bytearray(file.read())
    end = min(len(content), 8 + int.from_bytes(content[4:8], "little"))
    at = 12
    while at + 8 <= end:
        kind, length = (
            bytes(content[at : at + 4]),
            int.from_bytes(content[at + 4 : at + 8], "little"),
        )
        at += 8 + length
        if kind == bytes(4):
            return True
        if kind in _PIXELS and zeros <= at - FEW:
            return not _may_end_in_zeros(content, at)
        at += length % 2
    return False


def _may_end_in_zeros(content: bytearray, end: int) -> bool:
    """Whether the pixels of a WebP may be coded with the zeros that its data end in.

    A lower end of one colour may be, and then the last of them matter: an encoder writes none
    that are not read. Of an animation it is the last frame that they are about.
    """

    def last_frame() -> list[int] | None:
        try:
            with Image.open(BytesIO(content), formats=("WEBP",)) as image:
                image.seek(getattr(image, "n_frames", 1) - 1)
                row = image.convert("RGB").crop((0, image.height - 1, image.width, image.height))
                is_flat = all(high - low <= 1 for low, high in map(_range, row.split()))
                return image.histogram() if is_flat else None
        except (OSError, EOFError, ValueError):
            return None

    found = last_frame()
    if found is None:
        return False
    content[end - FEW // 2 : end] = b"\xff" * (FEW // 2)
    return last_frame() != found


def _range(band: Image.Image) -> tuple[float, float]:
    low, high = band.getextrema()
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    return low, high


def _is_torn_tiff(image: Any, file: IO[bytes], zeros: int, size: int) -> bool:
    tags = image.tag_v2
    offsets = tags.get(273) or tags.get(324) or ()
    counts = tags.get(279) or tags.get(325) or ()
    ends = [offset + count for offset, count in zip(offsets, counts, strict=False)]
    if not ends or zeros >= max(ends):
        return not tags.get(347, _END).endswith(_END)  # tables that the strips of a JPEG share
    if tags.get(259, 1) == 1:
        return _is_torn_raw(image, file, zeros, size)
    return bool(max(ends) - zeros >= (1 if tags[259] == _JPEG else FEW))


def _is_torn_raw(image: Any, file: IO[bytes], zeros: int, size: int) -> bool:
    """Whether rows of pixels, as they are in the file, break off at a block's boundary.

    Zeros may be black. So they count only where a boundary is inside of a row, not more than a few
    bytes after the last that is none, and the row before was mostly other than zeros from there on.
    """
    boundary = -(-zeros // BLOCK) * BLOCK
    if boundary - zeros > FEW // 2 or size - boundary < BLOCK:
        return False
    inside = [tile for tile in image.tile if tile.offset <= boundary]
    if not inside:
        return True
    tile = max(inside, key=lambda each: each.offset)
    if tile.codec_name != "raw":
        return True
    rows = tile.extents[3] - tile.extents[1]
    later = [each.offset for each in image.tile if each.offset > tile.offset]
    args = tile.args if isinstance(tile.args, tuple) else ()
    stride = args[1] if len(args) > 1 and isinstance(args[1], int) else 0
    stride = stride or (min([*later, size]) - tile.offset) // rows
    column: int = (boundary - tile.offset) % stride
    if column == 0 or boundary - stride < tile.offset:
        return column != 0
    file.seek(boundary - stride)
    before = file.read(stride - column)
    return before.count(0) * 2 < len(before)
