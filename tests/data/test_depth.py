"""More than 8 bits: expected is `value >> (bits - 8)` of values that the test writes itself."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cnntrain.core.kinds import Bits
from cnntrain.data.check import check_data
from cnntrain.data.decode import UnreadableImageError, converted, decode
from cnntrain.data.depth import Depth
from cnntrain.data.loaders import open_data
from cnntrain.data.splits import Files
from cnntrain.data.statistics import statistics
from cnntrain.model.inputs import Input, inputs

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
"""All values of 12 bits."""


def pgm(path: Path, values: np.ndarray, most: int = 65535) -> Path:
    head = f"P5 {values.shape[1]} {values.shape[0]} {most}\n".encode()
    path.write_bytes(head + values.astype(">u2").tobytes())
    return path


def tiff(path: Path, values: np.ndarray, *, order: str = ">", bits: int = 16) -> Path:
    """One strip of grey; 12 bits are packed, two values in three bytes."""
    height, width = values.shape
    pixels = values.astype(f"{order}u2").tobytes()
    if bits == 12:
        pairs = values.reshape(-1, 2).astype(int)
        a, b = pairs[:, 0], pairs[:, 1]
        packed = np.stack([a >> 4, (a & 15) << 4 | b >> 8, b & 255], axis=1)
        pixels = packed.astype(np.uint8).tobytes()
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: 1, 273: 0, 277: 1, 278: height}
    start = 8 + 2 + 12 * (len(tags) + 1) + 4
    tags |= {273: start, 279: len(pixels)}
    rows = b"".join(
        struct.pack(f"{order}HHI", tag, 4, 1) + struct.pack(f"{order}I", value)
        for tag, value in sorted(tags.items())
    )
    mark = b"MM" if order == ">" else b"II"
    head = mark + struct.pack(f"{order}HI", 42, 8) + struct.pack(f"{order}H", len(tags))
    path.write_bytes(head + rows + bytes(4) + pixels)
    return path


def png(path: Path, values: np.ndarray) -> Path:
    Image.fromarray(values).save(path)
    return path


WRITERS = {
    "x.png": png, "x.tif": png, "x.pgm": pgm, "big.tif": tiff,
    "little.tif": lambda path, values: tiff(path, values, order="<"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("bits", ["auto", 12, 13, 16])
def test_the_highest_8_bits_are_kept(tmp_path: Path, name: str, bits: Bits) -> None:
    path = WRITERS[name](tmp_path / name, RAMP)
    expected = RAMP >> ((16 if bits == "auto" else bits) - 8)
    for channels in (1, 3):
        found = np.asarray(decode(path, channels=channels, bits=bits))
        assert np.array_equal(found.reshape(64, 64, -1)[..., 0], expected)
    with Image.open(path) as picture:
        again = converted(picture, channels=1, name="x", bits=bits)
    assert np.array_equal(np.asarray(again), expected)


@pytest.mark.parametrize("name", WRITERS)
def test_values_with_more_bits_are_refused_by_name(tmp_path: Path, name: str) -> None:
    path = WRITERS[name](tmp_path / name, RAMP)
    with pytest.raises(UnreadableImageError) as caught:
        decode(path, channels=1, bits=11)
    said = caught.value.problems[0]
    assert said.message == (
        f"cannot read the image {path}: its largest value is 4,095, but 11 bits end at 2,047"
    )
    assert said.remedy == "set data.bits to the bits that the files hold"


def test_8_bits_in_16_are_taken_as_they_are(tmp_path: Path) -> None:
    path = png(tmp_path / "x.png", RAMP % 256)
    assert np.array_equal(np.asarray(decode(path, channels=1, bits=8)), RAMP % 256)


@pytest.mark.parametrize("bits", ["auto", 12, 16])
def test_what_a_file_says_itself_counts(tmp_path: Path, bits: Bits) -> None:
    """A TIFF of 12 bits, and a PGM whose largest value is 4,095, which Pillow scales to 16 bits."""
    packed = tiff(tmp_path / "x.tif", RAMP, order="<", bits=12)
    assert np.array_equal(np.asarray(decode(packed, channels=1, bits=bits)), RAMP >> 4)
    scaled = np.asarray(decode(pgm(tmp_path / "x.pgm", RAMP, 4095), channels=1, bits=bits))
    assert abs(scaled.astype(int) - RAMP / 4095 * 255).max() <= 1


@pytest.mark.parametrize("bits", ["auto", 8, 12])
def test_8_bit_images_stay_as_they_are(tmp_path: Path, bits: Bits) -> None:
    for mode in ("L", "RGB", "P", "1", "LA"):
        picture = Image.fromarray((RAMP % 256).astype(np.uint8)).convert(mode)
        picture.save(tmp_path / "x.png")
        found = decode(tmp_path / "x.png", channels=3, bits=bits)
        assert np.array_equal(np.asarray(found), np.asarray(picture.convert("RGB")))


def test_16_bit_colour_has_its_high_byte_and_cannot_have_another(tmp_path: Path) -> None:
    colours = np.stack([RAMP * 16] * 3, axis=2)
    strip = {256: 64, 257: 64, 258: 0, 259: 1, 262: 2, 273: 0, 277: 3, 278: 64, 279: 24576}
    depths = 8 + 2 + 12 * len(strip) + 4
    strip |= {258: depths, 273: depths + 6}
    rows = b"".join(
        struct.pack("<HHII", tag, 3 if tag == 258 else 4, 3 if tag == 258 else 1, value)
        for tag, value in sorted(strip.items())
    )
    path = tmp_path / "x.tif"
    head = b"II" + struct.pack("<HIH", 42, 8, len(strip)) + rows + bytes(4)
    path.write_bytes(head + struct.pack("<HHH", 16, 16, 16) + colours.astype("<u2").tobytes())
    for bits in ("auto", 16):
        assert np.array_equal(np.asarray(decode(path, channels=3, bits=bits)), colours >> 8)
    with pytest.raises(UnreadableImageError, match=r"data\.bits: 12 cannot change"):
        decode(path, channels=3, bits=12)


@pytest.fixture
def microscope(tmp_path: Path) -> Path:
    """Two classes in 16-bit files of 12 bits."""
    random = np.random.default_rng(0)
    for split in ("train", "val"):
        for label, most in (("a", 2000), ("b", 4096)):
            (tmp_path / split / label).mkdir(parents=True)
            for number in range(3):
                values = random.integers(0, most, (16, 16)).astype(np.uint16)
                values[0, 0] = most - 1
                png(tmp_path / split / label / f"{number}.png", values)
    return tmp_path


def test_data_check_says_which_bits_fit(microscope: Path) -> None:
    report = check_data("image_folder", parameters={"root": str(microscope), "channels": 1})
    assert report.deep == Depth(12, 4095, 16)
    assert report.deep.words == (
        "12 grey images have more than 8 bits per channel, with values up to 4,095, and are read "
        "as 16 bits: 16 of 256 levels; if they hold 12 bits, set -s data.bits=12"
    )
    parameters = {"root": str(microscope), "channels": 1, "bits": 12}
    report = check_data("image_folder", parameters=parameters)
    assert report.deep == Depth(12, 4095, 12)
    assert report.deep.words.endswith("are read as 12 bits")
    report = check_data("image_folder", parameters=parameters | {"bits": 11})
    assert len(report.unreadable) == 6
    skipping = parameters | {"bits": 11, "unreadable": "skip"}
    with pytest.raises(Exception, match=r"not one image in .*/b can be read: its largest value"):
        check_data("image_folder", parameters=skipping)


def test_training_notes_them_and_its_statistics_follow(
    microscope: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(microscope / "cache"))
    means = {}
    for bits in ("auto", 12):
        parameters = {"root": str(microscope), "channels": 1, "bits": bits}
        data = open_data("image_folder", parameters=parameters, workers=0)
        noted = [note for note in data.notes if "set -s data.bits=12" in note]
        assert len(noted) == (bits == "auto")
        assert data.statistics is not None
        means[bits] = data.statistics.mean[0]
    files = sorted((microscope / "train").rglob("*.png"))
    values = np.stack([np.asarray(Image.open(file)).astype(int) for file in files])
    assert means["auto"] == pytest.approx((values >> 8).mean() / 255, abs=1e-6)
    assert means[12] == pytest.approx((values >> 4).mean() / 255, abs=1e-6), "not the cached ones"
    part = Files(tuple(files), torch.zeros(len(files), dtype=torch.int64), 1, 12)
    assert statistics(part.select(torch.tensor([0]))).mean[0] == pytest.approx(
        (values[0] >> 4).mean() / 255
    )


@pytest.mark.parametrize("what", ["array", "tensor", "picture", "file"])
def test_images_in_memory_are_read_by_the_same_rule(tmp_path: Path, what: str) -> None:
    source = {
        "array": RAMP,
        "tensor": torch.tensor(RAMP.astype(np.int32))[None].to(torch.uint16),
        "picture": Image.fromarray(RAMP),
        "file": png(tmp_path / "x.png", RAMP),
    }[what]
    [image] = inputs(source, channels=1)
    for bits, shift in (("auto", 8), (12, 4)):
        found = np.asarray(image.part(1, bits).open(0))
        assert np.array_equal(found, RAMP >> shift)
    with pytest.raises(UnreadableImageError, match="4,095, but 11 bits end at 2,047"):
        image.part(1, 11).open(0)


def test_colour_arrays_of_16_bits_are_taken() -> None:
    [image] = inputs(np.stack([RAMP] * 3, axis=2), channels=3)
    assert isinstance(image, Input)
    found = np.asarray(image.part(3, 12).open(0))
    assert np.array_equal(found, np.stack([RAMP >> 4] * 3, axis=2))
