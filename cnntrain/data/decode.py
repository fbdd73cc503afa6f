"""From an image file to 8-bit grey or RGB pixels, with Pillow.

Only common formats are opened; decompression bombs, truncated files and torn copies (`torn.py`)
are errors. The EXIF orientation is applied, and of an animation the first frame is taken.
Transparency is dropped (the colour underneath stays), as torchvision's loader does; of grey with
more than 8 bits the highest 8 are kept (`depth.py`); 32-bit and floating-point pixels are refused.
"""

from __future__ import annotations

import importlib
import importlib.util
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError, features

from cnntrain.core.errors import DataError
from cnntrain.core.kinds import Bits
from cnntrain.core.memory import give_back
from cnntrain.data.budget import MEGABYTES, Budget, megabytes
from cnntrain.data.depth import bits_of
from cnntrain.data.fast_jpeg import decode_jpeg
from cnntrain.data.left_out import WITH_HEIC, image_format
from cnntrain.data.members import opened_for_pillow
from cnntrain.data.refusals import refuse_bomb, refuse_no_file
from cnntrain.data.strips import ORIENTATION, early_exif, is_turned, load, upright
from cnntrain.data.torn import refuse_torn
from cnntrain.show.progress import bar

T = TypeVar("T")
S = TypeVar("S")

_AVIF = features.check("avif")  # which Pillow's wheels have
_HEIC = importlib.util.find_spec("pillow_heif") is not None  # the extra `heic`
_PILLOWS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", *(("AVIF",) if _AVIF else ()))
FORMATS = (*_PILLOWS, *(("HEIC",) if _HEIC else ()))
_JPEG = (".jpg", ".jpeg", ".jpe", ".jfif")
_OTHERS = (".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm")
_PHONES = ((".avif",) if _AVIF else ()) + ((".heic", ".heif", ".hif") if _HEIC else ())
SUFFIXES = frozenset(_JPEG + _OTHERS + _PHONES)

# What Pillow's decoders raise on damaged files: found by fuzzing them; not only OSError.
_DAMAGE = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, AttributeError,
    OverflowError, ZeroDivisionError, RuntimeError, MemoryError, struct.error, zlib.error,
    Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip
_AT_ONCE = 1024
_LARGE = 200  # megabytes to decode, 30 megapixels and more: freed memory is returned before
_budget = Budget()
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
        reason: why, in a few words; behind a semicolon the remedy, where it is a special one.
    """

    def __init__(self, path: Path, reason: str) -> None:
        cause, _, remedy = reason.partition("; ")
        super().__init__(f"cannot read the image {path}: {cause}", remedy=remedy or _REMEDY)
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type[UnreadableImageError], tuple[Path, str]]:
        return UnreadableImageError, (self.path, self.reason)


def decode(
    path: Path,
    *,
    channels: int,
    bits: Bits = "auto",
    reduction: Callable[[tuple[int, int]], float] | None = None,
) -> Image.Image:
    """The image in mode `L` (1 channel) or `RGB` (3 channels), upright.

    Args:
        path: the file.
        channels: 1 or 3.
        bits: that the values of 16-bit files have; see `depth.py`.
        reduction: given the size (height, width), says by which factor the image may be shrunk
            at once; a JPEG is then decoded at 1/2, 1/4 or 1/8 of its size, which is faster.

    Raises:
        UnreadableImageError: the file is missing, damaged, of another format, or too large.
    """
    with _checked(path, channels=channels, reduction=reduction) as image:
        return _upright(image, channels, bits)


def decode_fast(
    path: Path,
    *,
    channels: int,
    bits: Bits = "auto",
    reduction: Callable[[tuple[int, int]], float] | None = None,
) -> Image.Image | NDArray[np.uint8]:
    """As `decode`, but of most JPEGs the pixels `(H, W, C)` that another decoder gives.

    What that one refuses is left to Pillow, which decides whether the file is damaged.
    """
    with _checked(path, channels=channels, reduction=reduction) as image:
        if not is_turned(image):
            pixels = decode_jpeg(image, mode=_MODE[channels])
            if pixels is not None:
                return pixels
        return _upright(image, channels, bits)


def converted(
    picture: Image.Image, *, channels: int, name: str, bits: Bits = "auto"
) -> Image.Image:
    """A picture that Pillow has opened already, as `decode` gives the same one from its file.

    Args:
        picture: of any mode; it is not changed.
        channels: 1 or 3.
        name: what to call it in a message.
        bits: as for `decode`.

    Raises:
        UnreadableImageError: its file is damaged, or its mode is not taken.
    """
    try:
        refuse_bomb(picture)
        deep = bits_of(picture, bits)
        picture.load()
        orientation = picture.getexif().get(ORIENTATION, 1)
        return upright(picture, _MODE[channels], orientation=orientation, deep=deep)
    except _DAMAGE as error:
        raise UnreadableImageError(Path(name), _reason(error)) from error


def header_size(path: Path) -> tuple[int, int]:
    """Height and width of the upright image, from the file's header alone.

    Raises:
        UnreadableImageError: the header cannot be read.
    """
    with _opened(path) as image:
        width, height = image.size
        with _held(image, channels=3, path=path):
            turned = early_exif(image, path).get(ORIENTATION, 1) in (5, 6, 7, 8)
            turned = turned and image.format != "TIFF"  # whose size Pillow has turned
    return (width, height) if turned else (height, width)


def is_deep(path: Path) -> bool:
    """Whether a file's header states more than 8 bits of grey; errors as of `header_size`."""
    with _opened(path) as image:
        return bits_of(image, "auto") is not None


def one_job() -> AbstractContextManager[None]:
    """Inside the block what a thread decodes counts until the block's end: see `Budget`."""
    return _budget.job()


def shared_budget(context: BaseContext, *, renewed: bool = False) -> Budget:
    """The budget of this process, from now on one that worker processes can be given.

    Args:
        context: in which they are started.
        renewed: whether it is a new one, because a process that held some of it was ended.
    """
    global _budget
    if renewed or _budget.context is not context:
        _budget = Budget(context=context)
    return _budget


def use_budget(budget: Budget) -> None:
    """In a worker process: take part in the budget of the process that started it."""
    global _budget
    _budget = budget


def in_threads(
    function: Callable[[S], T], items: Sequence[S], *, what: str | None = None
) -> Iterator[T]:
    """The function of each item, in order; an error ends it after the jobs that are under way.

    What a call decodes counts until it returns: see `Budget`. `what` is said of how far it is.
    """

    def job(item: S) -> T:
        with one_job():
            return function(item)

    seen = bar(what or "", total=len(items), quiet=what is None)
    with ThreadPoolExecutor() as pool, seen as shown:
        for start in range(0, len(items), _AT_ONCE):
            for result in pool.map(job, items[start : start + _AT_ONCE]):
                yield result
                shown.update()


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile.ImageFile]:
    """An image of an allowed format, not loaded yet; what is met in the block is said of it."""
    try:
        refuse_no_file(path)
        with _identified(path) as image:
            refuse_bomb(image)
            yield image
    except _DAMAGE as error:
        raise UnreadableImageError(path, _reason(error, path)) from error


@contextmanager
def _checked(
    path: Path, *, channels: int, reduction: Callable[[tuple[int, int]], float] | None
) -> Iterator[ImageFile.ImageFile]:
    """The same when there is memory for it; a JPEG is set to the size that is enough."""
    with _opened(path) as image:
        full_pixels = image.width * image.height
        if reduction is not None and image.format == "JPEG" and not is_turned(image):
            width, height = image.size
            factor = int(max(1.0, reduction((height, width))))
            if factor > 1:
                # the smallest of its reduced sizes that is not below
                image.draft(image.mode, (max(1, width // factor), max(1, height // factor)))
        with _held(image, channels=channels, path=path, full_pixels=full_pixels):
            refuse_torn(image)
            yield image


def _upright(image: ImageFile.ImageFile, channels: int, bits: Bits) -> Image.Image:
    deep = bits_of(image, bits)
    orientation, pages = load(image)
    return upright(image, _MODE[channels], orientation=orientation, deep=deep, pages=pages)


def _identified(path: Path) -> ImageFile.ImageFile:
    """Nothing is registered with Pillow."""
    try:
        return Image.open(opened_for_pillow(path), formats=_PILLOWS)
    except UnidentifiedImageError:
        if not _HEIC or image_format(path) != "HEIC":
            raise
        library = importlib.import_module("pillow_heif")
        heif: ImageFile.ImageFile = library.HeifImageFile(opened_for_pillow(path))
        return heif


@contextmanager
def _held(
    image: Image.Image, *, channels: int, path: Path, full_pixels: int | None = None
) -> Iterator[None]:
    """Wait for the memory that an image takes; one that takes too much is refused."""
    needed = megabytes(image, _MODE[channels], file_bytes=path.stat().st_size,
                       full_pixels=full_pixels or image.width * image.height)  # fmt: skip
    if needed > MEGABYTES:
        raise ValueError(
            f"{image.width} x {image.height} pixels as {image.format} take {needed:,} MB to "
            f"decode, more than {MEGABYTES:,}"
        )
    with _budget.held(needed):
        if needed >= _LARGE:
            give_back()
        yield


def _reason(error: BaseException, path: Path | None = None) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if text == "not identified by this driver":  # pillow-heif, of a header without its beginning
        return "its header is damaged"
    if text.startswith("cannot identify image file"):
        if path is not None and (found := image_format(path)) and found not in FORMATS:
            remedy = WITH_HEIC if found == "HEIC" else "convert it to JPEG or PNG"
            return f"{found} images are not read; {remedy}"
        if path is not None and path.is_file() and not path.stat().st_size:
            return "it is empty"
        return f"not a {', '.join(FORMATS)} image"
    return text
