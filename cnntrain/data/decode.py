"""From an image file to 8-bit grey or RGB pixels, with Pillow.

Only common formats are opened; decompression bombs, truncated files and torn copies (`torn.py`)
are errors. The EXIF orientation is applied, and of an animation the first frame is taken.
Transparency is dropped (the colour underneath stays), as torchvision's loader does; 16-bit grey
keeps its high byte, as Pillow does for 16-bit RGB; 32-bit and floating-point pixels are refused.
"""

from __future__ import annotations

import stat
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from PIL import Image, ImageOps, features

from cnntrain.core.errors import DataError
from cnntrain.data.budget import Budget
from cnntrain.data.left_out import image_format
from cnntrain.data.torn import refuse_torn
from cnntrain.show.words import escaped

T = TypeVar("T")
S = TypeVar("S")

_AVIF = features.check("avif")  # which Pillow's wheels have
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", *(("AVIF",) if _AVIF else ()))
_JPEG = (".jpg", ".jpeg", ".jpe", ".jfif")
_OTHERS = (".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm")
SUFFIXES = frozenset(_JPEG + _OTHERS + ((".avif",) if _AVIF else ()))
MAX_PIXELS = 89_478_485
"""Pillow's own bound above which it suspects a decompression bomb (256 MiB of RGB)."""

# What Pillow's decoders raise on damaged files: found by fuzzing them; not only OSError.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    ZeroDivisionError,
    NotImplementedError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
_AT_ONCE = 1024
_BUDGET = Budget(MAX_PIXELS)
_ORIENTATION = 0x0112
# Odd metadata make Pillow warn without naming the file; what matters becomes an error below.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
_MODE = {1: "L", 3: "RGB"}
_REMEDY = (
    "replace or delete the file (`cnntrain data check` lists all such files), or leave them out "
    "with `data.unreadable: skip`"
)


class UnreadableImageError(DataError):
    """One image file cannot be decoded.

    Args:
        path: the file.
        reason: why, in a few words.
    """

    def __init__(self, path: Path, reason: str) -> None:
        name = escaped(str(path))
        super().__init__(f"cannot read the image {name}: {reason}", remedy=_REMEDY)
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type[UnreadableImageError], tuple[Path, str]]:
        return UnreadableImageError, (self.path, self.reason)


def decode(
    path: Path,
    *,
    channels: int,
    reduction: Callable[[tuple[int, int]], float] | None = None,
) -> Image.Image:
    """The image in mode `L` (1 channel) or `RGB` (3 channels), upright.

    Args:
        path: the file.
        channels: 1 or 3.
        reduction: given the size (height, width), says by which factor the image may be shrunk
            at once; a JPEG is then decoded at 1/2, 1/4 or 1/8 of its size, which is faster.

    Raises:
        UnreadableImageError: the file is missing, damaged, of another format, or too large.
    """
    try:
        _refuse_no_file(path)
        with Image.open(path, formats=FORMATS) as image:
            _refuse_bomb(image)
            refuse_torn(image)
            orientation = image.getexif().get(_ORIENTATION, 1)
            if reduction is not None and image.format == "JPEG" and orientation == 1:
                width, height = image.size
                factor = int(max(1.0, reduction((height, width))))
                if factor > 1:
                    image.draft(image.mode, (-(-width // factor), -(-height // factor)))
            with _BUDGET.held(image.width * image.height):
                return _upright(image, _MODE[channels])
    except _DAMAGE as error:
        raise UnreadableImageError(path, _reason(error, path)) from error


def converted(picture: Image.Image, *, channels: int, name: str) -> Image.Image:
    """A picture that Pillow has opened already, as `decode` gives the same one from its file.

    Args:
        picture: of any mode; it is not changed.
        channels: 1 or 3.
        name: what to call it in a message.

    Raises:
        UnreadableImageError: its file is damaged, or its mode is not taken.
    """
    try:
        _refuse_bomb(picture)
        return _upright(picture, _MODE[channels])
    except _DAMAGE as error:
        raise UnreadableImageError(Path(name), _reason(error)) from error


def header_size(path: Path) -> tuple[int, int]:
    """Height and width of the upright image, from the file's header alone.

    Raises:
        UnreadableImageError: the header cannot be read.
    """
    try:
        _refuse_no_file(path)
        with Image.open(path, formats=FORMATS) as image:
            _refuse_bomb(image)
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
    except _DAMAGE as error:
        raise UnreadableImageError(path, _reason(error, path)) from error
    return (width, height) if turned else (height, width)


def in_threads(function: Callable[[S], T], items: Sequence[S]) -> Iterator[T]:
    """The function of each item, in order; an error ends it after the jobs that are under way.

    What a call decodes counts until it returns: see `Budget`.
    """

    def job(item: S) -> T:
        with _BUDGET.job():
            return function(item)

    with ThreadPoolExecutor() as pool:
        for start in range(0, len(items), _AT_ONCE):
            yield from pool.map(job, items[start : start + _AT_ONCE])


_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def _refuse_no_file(path: Path) -> None:
    """Before it is opened: a pipe would wait for ever, and a device may never end."""
    if kind := _KINDS.get(stat.S_IFMT(path.stat().st_mode)):
        raise ValueError(f"it is {kind}, not a file")


def _refuse_bomb(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(
            f"{image.width} x {image.height} pixels, more than {MAX_PIXELS:,}: "
            "suspected decompression bomb"
        )


def _upright(image: Image.Image, mode: str) -> Image.Image:
    image.load()
    is_turned = image.getexif().get(_ORIENTATION, 1) != 1
    return _convert(ImageOps.exif_transpose(image) if is_turned else image, mode)


def _convert(image: Image.Image, mode: str) -> Image.Image:
    if image.mode == mode:
        return image.copy() if image.readonly else image  # read-only: it lies in the file still
    if image.mode.startswith("I;16"):
        wide = image.convert("I")
        return wide.point(lambda value: value / 256).convert("L").convert(mode)
    if image.mode in ("I", "F"):
        raise ValueError(f"32-bit pixels (mode {image.mode}); save it with 8 bits a channel")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert(mode)


def _reason(error: BaseException, path: Path | None = None) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if text.startswith("cannot identify image file"):
        if path is not None and (found := image_format(path)) and found not in FORMATS:
            return f"{found} images are not read; convert it to JPEG or PNG"
        return f"not a {', '.join(FORMATS)} image"
    return text
