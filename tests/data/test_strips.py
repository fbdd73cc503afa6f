"""Decoding in strips; expected are the pixels that Pillow gives of the whole picture at once."""

from __future__ import annotations

import mmap
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from cnntrain.data import strips
from cnntrain.data.decode import converted, decode, header_size
from cnntrain.data.splits import from_picture

WAYS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "jpeg": ("RGB", "JPEG", {}),
    "progressive": ("RGB", "JPEG", {"progressive": True}),
    "grey jpeg": ("L", "JPEG", {}),
    "cmyk jpeg": ("CMYK", "JPEG", {}),
    **{f"png {mode}": (mode, "PNG", {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")},
    "transparent palette": ("P", "PNG", {"transparency": bytes(range(256))}),
    "transparent grey": ("L", "PNG", {"transparency": 3}),
    **{f"tiff {mode}": (mode, "TIFF", {}) for mode in ("1", "L", "LA", "P", "RGBA", "CMYK")},
    **{f"lzw {mode}": (mode, "TIFF", {"compression": "tiff_lzw"}) for mode in ("RGB", "I;16")},
    "tiff ycc": ("YCbCr", "TIFF", {"compression": "jpeg"}),
    "webp": ("RGBA", "WEBP", {}),
    "gif": ("P", "GIF", {}),
    "transparent gif": ("P", "GIF", {"transparency": 7}),
    "bmp": ("RGBA", "BMP", {}),
    "pgm": ("L", "PPM", {}),
}
"""Mode, format and options."""


def draw(mode: str) -> Image.Image:
    """Noise of 13 x 7 pixels."""
    noise = np.random.default_rng(0).integers(0, 256, (7, 13, 4), np.uint8)
    if mode == "I;16":
        return Image.fromarray(noise.view(np.uint16)[..., 0].copy())
    return Image.fromarray(noise, "RGBA").convert(mode)


def at_once(path: Path, mode: str) -> Image.Image:
    """As Pillow decodes, turns and converts a picture, not mapped from a file (Pillow 13 errs)."""
    with Image.open(BytesIO(path.read_bytes())) as image:
        image.load()
        image = ImageOps.exif_transpose(image)
    if image.mode == "I;16":
        # https://www.w3.org/TR/png-3/#13Sample-depth-rescaling: the high byte
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert(mode)


@pytest.mark.parametrize("rows", [1, 3, 6, 100])
@pytest.mark.parametrize("way", WAYS)
def test_strips_give_the_pixels_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, rows: int
) -> None:
    """All orientations; strips of one row, several with and without a rest, and the whole."""
    mode, form, options = WAYS[way]
    monkeypatch.setattr(strips, "STRIP", 13 * rows)
    for orientation in range(1, 9 if "compression" in options else 10):  # 9 has no meaning
        exif = Image.Exif()
        exif[0x0112] = orientation
        turned = {"tiffinfo": {0x0112: orientation}} if form == "TIFF" else {"exif": exif}
        draw(mode).save(tmp_path / "x", form, **options, **turned)
        for name, channels in (("L", 1), ("RGB", 3)):
            expected = at_once(tmp_path / "x", name)
            found = decode(tmp_path / "x", channels=channels)
            assert (found.mode, found.size) == (name, expected.size)
            assert header_size(tmp_path / "x") == (found.height, found.width)
            assert found.tobytes() == expected.tobytes(), orientation
            array = np.asarray(found).reshape(found.height, found.width, channels)
            assert np.array_equal(from_picture(found), array.transpose(2, 0, 1))
            with Image.open(BytesIO((tmp_path / "x").read_bytes())) as image:
                before = image.copy().tobytes()
                assert converted(image, channels=channels, name="x").tobytes() == found.tobytes()
                assert image.tobytes() == before


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="pages cannot be given back")
def test_pages_are_given_back(tmp_path: Path) -> None:
    """Of 2,000 x 1,000 pixels of 4 bytes all but the last, not whole, page are zeros afterwards."""
    Image.new("CMYK", (2000, 1000), (1, 2, 3, 4)).save(tmp_path / "x.jpg", "JPEG")
    with Image.open(tmp_path / "x.jpg") as image:
        orientation, pages = strips.load(image)
        assert pages is not None
        assert len(pages) == 8_000_000
        assert len(set(pages)) > 1
        strips.upright(image, "RGB", orientation=orientation, pages=pages)
        whole = len(pages) // mmap.PAGESIZE * mmap.PAGESIZE
        assert set(pages[:whole]) == {0}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_what_was_freed_before_is_returned_before_a_large_picture(tmp_path: Path) -> None:
    """What other threads have freed too: each would keep its own."""
    code = f"""
import re, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from cnntrain.data.decode import decode

def megabytes():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1e3

path = Path({str(tmp_path / "a.png")!r})
decode(path, channels=3)
before = megabytes()
for _ in range(3):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: decode(path, channels=3) and None, range(2)))
decode(path, channels=3)
print(megabytes() - before)
"""
    Image.new("RGBA", (9000, 8000)).save(tmp_path / "a.png", compress_level=1)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 100  # of 216 MB of pixels that each keeps otherwise
