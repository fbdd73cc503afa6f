"""Photographs of phones: HEIC files that pillow-heif has written are read where it is installed.

Expected pixels are those of the picture that was encoded, up to the loss of encoding it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageOps

from cnntrain.data.check import check_data
from cnntrain.data.decode import UnreadableImageError, decode, header_size
from cnntrain.data.on_disk import list_images

CORNERS = Image.new("RGB", (64, 40))
CORNERS.paste((200, 0, 0), (0, 0, 64, 20))
CORNERS.paste((200, 200, 0), (0, 0, 32, 20))


def written(path: Path, picture: Image.Image = CORNERS, **options: object) -> Path:
    pillow_heif.from_pillow(picture).save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.heic", "a.HEIF", "a.hif", "a.jpg", "a"])
def test_a_heic_is_read_by_its_content(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / name)
    found = np.asarray(decode(path, channels=3)).astype(int)
    assert abs(found - np.asarray(CORNERS)).mean() < 3
    assert header_size(path) == (40, 64)


def test_grey_and_deep_heics_become_8_bits(tmp_path: Path) -> None:
    grey = np.arange(0, 256, 4, dtype=np.uint8)[None].repeat(64, axis=0)
    eight = written(tmp_path / "8.heic", Image.fromarray(grey), quality=-1)
    ten = written(tmp_path / "10.heic", Image.fromarray(grey.astype(np.uint16) * 257), quality=-1)
    for path in (eight, ten):
        for channels in (1, 3):
            found = np.asarray(decode(path, channels=channels)).astype(int).reshape(64, 64, -1)
            assert abs(found - grey[..., None]).max() <= 1, "256 levels, from 10 bits too"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photograph_stands_upright(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = written(tmp_path / "a.heic", exif=exif.tobytes())
    turned = CORNERS.copy()
    turned.getexif()[0x0112] = orientation
    expected = ImageOps.exif_transpose(turned)
    found = decode(path, channels=3)
    assert (found.height, found.width) == header_size(path) == (expected.height, expected.width)
    assert abs(np.asarray(found).astype(int) - np.asarray(expected)).mean() < 3


def test_a_folder_of_heics_is_a_data_set(tmp_path: Path) -> None:
    for split, label in (("train", "a"), ("train", "b"), ("val", "a"), ("val", "b")):
        (tmp_path / split / label).mkdir(parents=True)
        noise = np.random.default_rng(ord(label) * len(split)).integers(0, 256, (32, 32, 3))
        written(tmp_path / split / label / "IMG_1.HEIC", Image.fromarray(noise.astype(np.uint8)))
    torn = tmp_path / "val" / "b" / "IMG_2.HEIC"
    content = (tmp_path / "val" / "b" / "IMG_1.HEIC").read_bytes()
    torn.write_bytes(content[:-40] + bytes(40))
    report = check_data("image_folder", parameters={"root": str(tmp_path)})
    assert report.sizes["train"] == (((32, 32), 2),)
    assert [file.path for file in report.unreadable] == [torn]
    assert "its end is missing" in report.unreadable[0].reason


def test_no_format_is_registered_with_pillow(tmp_path: Path) -> None:
    """Whoever opens HEIC here must not open more there: what is read stays a list."""
    before = set(Image.OPEN)
    decode(written(tmp_path / "a.heic"), channels=3)
    assert set(Image.OPEN) == before
    assert "HEIF" not in before
    (tmp_path / "x.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40))
    with pytest.raises(UnreadableImageError, match=r"x\.heic: Invalid input"):
        decode(tmp_path / "x.heic", channels=3)


WITHOUT = """
import sys
from pathlib import Path
sys.modules["pillow_heif"] = None
from cnntrain.data.decode import UnreadableImageError, decode
from cnntrain.data.left_out import summaries
from cnntrain.data.on_disk import list_images
folder = Path(sys.argv[1])
print(summaries(list_images(folder).left_out)[0])
try:
    decode(folder / "a.heic", channels=3)
except UnreadableImageError as error:
    print(error.exit_code, error.problems[0].message, "|", error.problems[0].remedy)
"""


def test_without_the_package_they_are_listed_with_the_remedy(tmp_path: Path) -> None:
    path = written(tmp_path / "a.heic")
    assert list_images(tmp_path).images == (path,), "and with it they are images"
    command = [sys.executable, "-c", WITHOUT, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    remedy = "pip install 'cnntrain[heic]'"
    assert said == [
        f"1 left out: HEIC images, which are not read: {path}; {remedy}",
        f"3 cannot read the image {path}: HEIC images are not read | {remedy}",
    ]


def test_it_is_imported_when_one_is_read() -> None:
    code = "import cnntrain.data.decode, sys; print('pillow_heif' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
