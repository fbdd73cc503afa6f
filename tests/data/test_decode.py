"""Decoding: expected pixels are written by the test itself, mode rules are those of decode.py."""

import random
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from cnntrain.data.decode import (
    FORMATS,
    UnreadableImageError,
    converted,
    decode,
    header_size,
    is_deep,
)


def save(path: Path, array: np.ndarray, **options: object) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def gradient(height: int = 6, width: int = 9, channels: int = 3) -> np.ndarray:
    count = height * width * channels
    return (np.arange(count) * 255 // count).astype(np.uint8).reshape(height, width, channels)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm"])
def test_lossless_formats_give_the_pixels_back(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a{suffix}", gradient())
    assert np.array_equal(np.asarray(decode(path, channels=3)), gradient())
    assert header_size(path) == (6, 9)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".gif"])
def test_other_formats_are_read(tmp_path: Path, suffix: str) -> None:
    picture = decode(save(tmp_path / f"a{suffix}", gradient()), channels=3)
    assert picture.mode == "RGB"
    assert picture.size == (9, 6)


def test_the_suffix_does_not_matter_but_the_content(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", gradient())
    renamed = path.rename(tmp_path / "a.jpg")
    assert np.array_equal(np.asarray(decode(renamed, channels=3)), gradient())


def test_grey_is_repeated_and_colour_becomes_luma(tmp_path: Path) -> None:
    grey = gradient(channels=1)[:, :, 0]
    rgb = np.asarray(decode(save(tmp_path / "g.png", grey), channels=3))
    assert np.array_equal(rgb, np.repeat(grey[:, :, None], 3, axis=2))
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 255
    # ITU-R 601: 0.299 * 255 = 76.2
    assert np.asarray(decode(save(tmp_path / "r.png", red), channels=1)).tolist() == [[76, 76]] * 2


def test_palette_and_transparency_keep_the_colour(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.putpixel((1, 0), 1)
    picture.save(tmp_path / "p.png", transparency=bytes([0, 255]))
    assert np.asarray(decode(tmp_path / "p.png", channels=3)).tolist() == [
        [[10, 20, 30], [200, 100, 50]]
    ]
    Image.new("RGBA", (1, 1), (1, 2, 3, 0)).save(tmp_path / "a.png")
    assert np.asarray(decode(tmp_path / "a.png", channels=3)).tolist() == [[[1, 2, 3]]]


def test_16_bit_grey_keeps_its_high_byte(tmp_path: Path) -> None:
    values = np.array([[0, 255, 256, 32768, 65535]], dtype=np.uint16)
    path = save(tmp_path / "deep.png", values)
    assert np.asarray(decode(path, channels=1)).tolist() == [[0, 0, 1, 128, 255]]


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "f.tif", np.zeros((2, 2), dtype=np.float32))
    with pytest.raises(UnreadableImageError, match=r"f\.tif: 32-bit or signed pixels"):
        decode(path, channels=1)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    path = save(tmp_path / "turned.png", gradient(), exif=exif)
    assert header_size(path) == (9, 6)
    turned = np.asarray(decode(path, channels=3))
    assert np.array_equal(turned, np.rot90(gradient(), k=-1))


def chunks(png: bytes) -> list[bytes]:
    found, place = [], 8
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        found.append(png[place : place + length + 12])
        place += length + 12
    return found


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("kind", [b"eXIf", b"zTXt"])
def test_the_size_of_a_png_is_read_without_its_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behind: bool, kind: bytes
) -> None:
    """Unless an orientation may stand behind them."""
    exif = Image.Exif()
    exif[0x0112] = 6
    head, *rest, end = chunks(save(tmp_path / "a.png", gradient()).read_bytes())
    content = exif.tobytes()[6:]
    if kind == b"zTXt":  # as ImageMagick writes it
        raw = exif.tobytes()
        profile = f"\nexif\n{len(raw):8}\n{raw.hex()}\n".encode()
        content = b"Raw profile type exif\0\0" + zlib.compress(profile)
    crc = zlib.crc32(kind + content)
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)
    order = [head, *rest, chunk, end] if behind else [head, chunk, *rest, end]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(order))
    decoded: list[bool] = []
    load = PngImagePlugin.PngImageFile.load_end
    monkeypatch.setattr(
        PngImagePlugin.PngImageFile, "load_end", lambda self: decoded.append(True) or load(self)
    )
    assert header_size(tmp_path / "a.png") == (9, 6)
    assert decoded == [True] * behind


def test_the_header_says_whether_grey_is_deep(tmp_path: Path) -> None:
    grey = gradient(channels=1)[..., 0]
    assert is_deep(save(tmp_path / "deep.png", grey.astype(np.uint16) * 256))
    assert not is_deep(save(tmp_path / "grey.png", grey))
    assert not is_deep(save(tmp_path / "colour.png", gradient()))
    (tmp_path / "no.png").write_bytes(b"no")
    with pytest.raises(UnreadableImageError, match=r"no\.png"):
        is_deep(tmp_path / "no.png")


TURNED: dict[str, dict[str, Any]] = {
    ".jpg": {"quality": 95}, ".png": {}, ".webp": {"lossless": True}, ".avif": {"quality": 95},
    ".tif": {}, ".lzw.tif": {"compression": "tiff_lzw"},
    ".mpo": {"save_all": True, "append_images": [Image.new("RGB", (64, 40))]},
}  # fmt: skip
"""Formats that have an orientation."""


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", TURNED)
def test_the_header_says_the_size_of_the_upright_image(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    """Expected is what transposing the stored pixels gives."""
    if suffix == ".avif" and "AVIF" not in FORMATS:
        pytest.skip("this Pillow has no AVIF")
    exif = Image.Exif()
    exif[0x0112] = orientation
    whole = Image.new("RGB", (64, 40))
    whole.paste((200, 0, 0), (0, 0, 64, 20))
    whole.paste((200, 200, 0), (0, 0, 32, 20))
    whole.save(tmp_path / f"a{suffix}", exif=exif, **TURNED[suffix])
    whole.getexif()[0x0112] = orientation
    expected = ImageOps.exif_transpose(whole)
    found = decode(tmp_path / f"a{suffix}", channels=3)
    size = (expected.height, expected.width)
    assert header_size(tmp_path / f"a{suffix}") == (found.height, found.width) == size
    assert abs(np.asarray(found).astype(int) - np.asarray(expected)).mean() < 12
    with Image.open(tmp_path / f"a{suffix}") as opened:
        assert np.array_equal(np.asarray(converted(opened, channels=3, name="a")), found)


def test_the_first_frame_of_an_animation_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (2, 2), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    assert np.asarray(decode(tmp_path / "a.webp", channels=3))[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"no image at all", "not a JPEG, PNG"),
        (b"%PDF-1.4 something", "not a JPEG, PNG"),
    ],
)
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=reason) as caught:
        decode(path, channels=3)
    assert str(path) in str(caught.value)
    assert "data.unreadable: skip" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match=r"gone\.png: there is no such file"):
        decode(tmp_path / "gone.png", channels=3)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".gif"])
def test_truncated_files_are_errors(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    path = save(tmp_path / f"cut{suffix}", noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UnreadableImageError, match="cut"):
        decode(path, channels=3)


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    for side in (10_000, 20_000):  # between Pillow's warning and its error, and beyond
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
        content = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b""))
        (tmp_path / "bomb.png").write_bytes(content + chunk(b"IEND", b""))
        with pytest.raises(UnreadableImageError, match="bomb"):
            decode(tmp_path / "bomb.png", channels=1)


@pytest.mark.filterwarnings("ignore::UserWarning")  # as decode.py has it outside of pytest
def test_damaged_files_raise_nothing_but_the_one_error(tmp_path: Path) -> None:
    """Bytes changed at random: each file is either decoded or refused with its name."""
    noise = np.random.default_rng(1).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    source = random.Random(2)
    for suffix in (".jpg", ".png", ".webp", ".gif", ".bmp", ".tif"):
        content = save(tmp_path / f"whole{suffix}", noise).read_bytes()
        for _ in range(60):
            damaged = bytearray(content)
            for _ in range(source.randint(1, 8)):
                damaged[source.randrange(len(damaged))] = source.randrange(256)
            path = tmp_path / f"damaged{suffix}"
            path.write_bytes(damaged)
            with suppress(UnreadableImageError):
                decode(path, channels=3)


def test_a_jpeg_is_decoded_smaller_where_that_is_allowed(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", np.zeros((64, 48, 3), np.uint8))
    asked: list[tuple[int, int]] = []
    for factor, size in ((1.0, (48, 64)), (2.5, (24, 32)), (9.0, (6, 8))):
        picture = decode(path, channels=3, reduction=lambda s, f=factor: (asked.append(s), f)[1])
        assert picture.size == size
    assert asked == [(64, 48)] * 3
    odd = save(tmp_path / "odd.jpg", np.zeros((65, 49, 3), np.uint8))
    assert decode(odd, channels=3, reduction=lambda _: 2.5).size == (25, 33)
    assert decode(odd, channels=3, reduction=lambda _: 9.0).size == (7, 9)
