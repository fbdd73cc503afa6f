"""Torn copies are refused in every format; sound pictures, black ones included, are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image

from cnntrain.data.decode import FORMATS, UnreadableImageError, decode

WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "jpg": ("JPEG", {"quality": 85}),
    "progressive.jpg": ("JPEG", {"progressive": True}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {"quality": 80}),
    "lossless.webp": ("WEBP", {"lossless": True}),
    "gif": ("GIF", {}),
    "bmp": ("BMP", {}),
    "ppm": ("PPM", {}),
    "tif": ("TIFF", {}),
    "lzw.tif": ("TIFF", {"compression": "tiff_lzw"}),
    "deflate.tif": ("TIFF", {"compression": "tiff_deflate"}),
    "packbits.tif": ("TIFF", {"compression": "packbits"}),
    "jpeg.tif": ("TIFF", {"compression": "jpeg"}),
    "avif": ("AVIF", {"speed": 10}),
    "heic": ("HEIC", {}),
}
BLOCK = 512
THERE = [way for way in WAYS if WAYS[way][0] in FORMATS]


def photograph(height: int = 90, width: int = 120) -> NDArray[np.uint8]:
    """What compresses like one: smooth colours and noise."""
    random = np.random.default_rng(3)
    coarse = random.integers(0, 255, (9, 12, 3)).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    noisy = smooth + random.normal(0, 6, smooth.shape)
    return noisy.clip(1, 255).astype(np.uint8)


def written(folder: Path, way: str, pixels: NDArray[np.uint8]) -> Path:
    form, options = WAYS[way]
    path = folder / f"picture.{way}"
    picture = Image.fromarray(pixels)
    if form == "HEIC":
        pillow_heif.from_pillow(picture).save(path)
    else:
        picture.save(path, form, **options)
    return path


@pytest.mark.parametrize("way", THERE)
def test_a_tail_of_zeros_is_found(tmp_path: Path, way: str) -> None:
    path = written(tmp_path, way, photograph())
    sound = path.read_bytes()
    decode(path, channels=3)
    for start in range(0, len(sound) * 9 // 10, BLOCK):
        path.write_bytes(sound[:start] + bytes(len(sound) - start))
        with pytest.raises(UnreadableImageError):
            decode(path, channels=3)


SUMMED = ("jpg", "progressive.jpg", "png", "webp", "lossless.webp", "gif", "lzw.tif", "deflate.tif",
          "packbits.tif", "jpeg.tif", "avif", "heic")  # fmt: skip
"""Formats in which a tail of zeros is no other picture; fewer than 16 may be in the last ones."""


@pytest.mark.filterwarnings("ignore::UserWarning")  # as decode.py has it outside of pytest
@pytest.mark.parametrize("way", [way for way in THERE if way in SUMMED])
def test_tails_of_any_length_are_found(tmp_path: Path, way: str) -> None:
    """Cut or zeroed from any byte on: refused, or decoded to the very picture."""
    path = written(tmp_path, way, photograph(24, 31))
    sound, whole = path.read_bytes(), decode(path, channels=3).tobytes()
    step = max(1, len(sound) // 150)
    for start in range(0, len(sound), step):
        lost = len(sound) - start
        for tail in (b"", bytes(lost)):
            path.write_bytes(sound[:start] + tail)
            if tail and lost <= 16 and way.endswith(("webp", "avif", "heic")):
                continue
            try:
                found = decode(path, channels=3).tobytes()
            except UnreadableImageError:
                continue
            assert found == whole, f"{lost} bytes {'zeroed' if tail else 'cut'}"


def test_zeros_after_the_end_of_a_webp_do_no_harm(tmp_path: Path) -> None:
    path = written(tmp_path, "webp", photograph())
    path.write_bytes(path.read_bytes() + bytes(5000))
    decode(path, channels=3)


def test_an_animation_whose_last_frame_ends_in_one_colour_is_read(tmp_path: Path) -> None:
    path, flat = tmp_path / "a.webp", photograph(400, 400)
    flat[100:] = 0
    frames = [Image.fromarray(pixels) for pixels in (photograph(400, 400), flat)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    decode(path, channels=3)


def black(shape: str, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Black where a shape says so."""
    height, width, _ = pixels.shape
    rows, columns = np.mgrid[:height, :width]
    margin = min(height, width) // 7
    where = {
        "whole": rows >= 0,
        "bottom": rows > height // 2,
        "top": rows < height // 2,
        "border": (rows < margin) | (rows >= height - margin)
        | (columns < margin) | (columns >= width - margin),
        "disc": (rows - height / 2) ** 2 + (columns - width / 2) ** 2 > (height / 2.5) ** 2,
        "slant": rows > height / 2 + columns / 5,
        "right": columns > width // 2,
    }[shape]  # fmt: skip
    return np.where(where[..., None], np.uint8(0), pixels)


@pytest.mark.parametrize("shape", ["whole", "bottom", "top", "border", "disc", "slant", "right"])
@pytest.mark.parametrize("way", THERE)
def test_sound_pictures_with_black_parts_are_read(tmp_path: Path, way: str, shape: str) -> None:
    for height, width in ((90, 120), (128, 128), (75, 101), (300, 256)):
        for mode in ("RGB", "L"):
            pixels = black(shape, photograph(height, width))
            picture = np.asarray(Image.fromarray(pixels).convert(mode))
            path = written(tmp_path, way, picture)
            assert decode(path, channels=3).size == (width, height)


@pytest.mark.parametrize("way", ["webp", "lossless.webp"])
@pytest.mark.parametrize("grey", [0, 77, 255])
def test_webp_codes_a_flat_lower_half_with_zeros(tmp_path: Path, way: str, grey: int) -> None:
    pixels = photograph(400, 400)
    pixels[200:] = grey
    decode(written(tmp_path, way, pixels), channels=3)


def test_zeros_after_the_end_of_a_jpeg_do_no_harm(tmp_path: Path) -> None:
    path = written(tmp_path, "jpg", photograph())
    path.write_bytes(path.read_bytes() + bytes(5000))
    decode(path, channels=3)
    path.write_bytes(path.read_bytes() + b"a maker's own data" + bytes(5000))
    decode(path, channels=3)


def test_a_flipped_bit_in_the_pixels_of_a_png_is_found(tmp_path: Path) -> None:
    path = written(tmp_path, "png", photograph())
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match="checksum"):
        decode(path, channels=3)


def test_what_cannot_be_known_is_read(tmp_path: Path) -> None:
    """A raw picture that breaks off where a row begins is one with a black lower end."""
    path = written(tmp_path, "ppm", photograph(64, 512 // 3 * 3 // 3))
    content = path.read_bytes()
    start = content.index(b"255\n") + 4
    row = (len(content) - start) // 64
    path.write_bytes(content[: start + 40 * row] + bytes(24 * row))
    decode(path, channels=3)
