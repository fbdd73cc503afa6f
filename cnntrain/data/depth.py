"""Images with more than 8 bits per channel, and how they become the 8 bits that are read.

Of the bits that the values have the highest 8 are kept: with 16 bits the high byte, as Pillow does
for colour. How many they have the file says, unless `data.bits` does: many a 16-bit file holds the
12 bits of a camera, whose high byte would be 16 levels of grey.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PIL import Image

from cnntrain.core.kinds import Bits

_KEY = "cnntrain.depth"
_USUAL = (8, 10, 12, 14)  # of cameras


@dataclass(frozen=True)
class Depth:
    """Images with more than 8 bits per channel.

    Args:
        images: how many.
        largest: of their values.
        bits: that their values were taken to have.
    """

    images: int
    largest: int
    bits: int

    @property
    def fitting(self) -> int | None:
        """The fewest usual bits that hold the values, if fewer than were taken."""
        return next((n for n in _USUAL if self.largest < 2**n and n < self.bits), None)

    @property
    def words(self) -> str:
        """What a user should know of them."""
        several = "1 grey image has" if self.images == 1 else f"{self.images:,} grey images have"
        text = (
            f"{several} more than 8 bits per channel, with values up to {self.largest:,}, and "
            f"{'is' if self.images == 1 else 'are'} read as {self.bits} bits"
        )
        if self.fitting is None:
            return text
        levels = (self.largest >> (self.bits - 8)) + 1
        remedy = f"if they hold {self.fitting} bits, set -s data.bits={self.fitting}"
        return f"{text}: {levels} of 256 levels; {remedy}"


def bits_of(image: Image.Image, bits: Bits) -> int | None:
    """Bits that the values of a grey image have; None where Pillow gives 8.

    Args:
        image: not loaded yet.
        bits: that files of 16 bits hold, where the file itself says nothing else; auto: 16.

    Raises:
        ValueError: it has 16 bits of colour, of which Pillow gives the highest 8.
    """
    tiles = getattr(image, "tile", None)
    args = tiles[0].args if tiles else ()
    raw, *more = args if isinstance(args, tuple) and args else (args,)
    stated = 16 if bits == "auto" else bits
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        if raw == "I;12":  # of a TIFF
            return 12
        is_scaled = image.format == "HEIF" or (image.format == "PPM" and more not in ([], [65535]))
        return 16 if is_scaled else stated
    if ";16" in str(raw) and image.mode != "I" and stated != 16:
        raise ValueError(
            f"of 16-bit colour the high byte is read, which data.bits: {stated} cannot change; "
            "scale its values to 16 bits, or save it with 8"
        )
    return None


def largest_value(strips: Iterable[Image.Image], bits: int) -> int:
    """Of a loaded grey image of mode `I` or `I;16`, in strips.

    Raises:
        ValueError: it has more bits.
    """
    largest = max(int(_wide(strip).getextrema()[1]) for strip in strips)  # type: ignore[arg-type]
    refuse_above(largest, bits)
    return largest


def to_8_bits(image: Image.Image, bits: int) -> Image.Image:
    """A loaded grey image of mode `I` or `I;16` in mode `L`."""
    return _wide(image).point(lambda value: value / 2 ** (bits - 8)).convert("L")


def note_depth(image: Image.Image, *, largest: int, bits: int) -> None:
    """Note what `to_8_bits` made an image of; `depth_of` finds it."""
    image.info[_KEY] = (largest, bits)


def _wide(image: Image.Image) -> Image.Image:
    return image if image.mode == "I" else image.convert("I")


def refuse_above(largest: int, bits: int) -> None:
    """Raise a ValueError if a value has more bits."""
    if largest >= 2**bits:
        raise ValueError(
            f"its largest value is {largest:,}, but {bits} bits end at {2**bits - 1:,}; "
            "set data.bits to the bits that the files hold"
        )


def depth_of(pictures: Sequence[Image.Image]) -> Depth | None:
    """What they were made of; None where all of them had 8 bits."""
    found = [each.info[_KEY] for each in pictures if _KEY in each.info]
    return merged([Depth(1, *each) for each in found])


def merged(depths: Sequence[Depth]) -> Depth | None:
    """Of all of the images together; None if there are none."""
    if not depths:
        return None
    largest, bits = max(each.largest for each in depths), max(each.bits for each in depths)
    return Depth(sum(each.images for each in depths), largest, bits)
