"""simplejpeg: nearly the pixels of Pillow, its verdicts, and Pillow for all other files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from cnntrain.data import decode as module
from cnntrain.data.batch import Batching
from cnntrain.data.decode import UnreadableImageError, decode, decode_fast
from cnntrain.data.pipeline import build_pipeline
from cnntrain.data.splits import Files
from cnntrain.data.stream import StreamLoader

pytest.importorskip("simplejpeg")
EXIF_TURNED = Image.Exif()
EXIF_TURNED[0x0112] = 6

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "420": ("RGB", {"quality": 90}),
    "444": ("RGB", {"quality": 95, "subsampling": 0}),
    "progressive": ("RGB", {"progressive": True}),
    "grey": ("L", {}),
}
LEFT_TO_PILLOW: dict[str, tuple[str, dict[str, Any]]] = {
    "turned.jpg": ("RGB", {"exif": EXIF_TURNED}),
    "cmyk.jpg": ("CMYK", {}),
    "grey.jpg": ("L", {}),
    "grey.png": ("I;16", {}),
    "picture.png": ("RGB", {}),
    "picture.webp": ("RGB", {}),
}


def photograph(height: int = 62, width: int = 84) -> Image.Image:
    """What compresses like one: smooth colours and some noise."""
    random = np.random.default_rng(5)
    coarse = Image.fromarray(random.integers(0, 255, (7, 9, 3)).astype(np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    noisy = smooth + random.normal(0, 4, smooth.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def written(path: Path, mode: str, options: dict[str, Any]) -> Path:
    if mode == "I;16":
        Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30) * 100).save(path)
    else:
        photograph().convert(mode).save(path, **options)
    return path


def array(found: Image.Image | NDArray[np.uint8]) -> NDArray[np.int64]:
    pixels = np.asarray(found).astype(np.int64)
    return pixels[..., None] if pixels.ndim == 2 else pixels


@pytest.mark.parametrize("kind", KINDS)
def test_nearly_the_pixels_of_pillow(tmp_path: Path, kind: str) -> None:
    mode, options = KINDS[kind]
    channels = 1 if mode == "L" else 3
    path = written(tmp_path / "a.jpg", mode, options)
    found = decode_fast(path, channels=channels)
    assert isinstance(found, np.ndarray), "the other decoder has read it"
    difference = np.abs(array(found) - array(decode(path, channels=channels)))
    # the same where both have one version of libjpeg-turbo; others interpolate chroma in other ways
    assert difference.max() <= 16
    assert difference.mean() < 0.5


@pytest.mark.parametrize("name", LEFT_TO_PILLOW)
def test_all_others_are_left_to_pillow(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / name, *LEFT_TO_PILLOW[name])
    found = decode_fast(path, channels=3)
    assert isinstance(found, Image.Image)
    assert found.tobytes() == decode(path, channels=3).tobytes()


def test_a_reduced_size_is_that_of_pillow(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jpg", "RGB", {})

    def half(size: tuple[int, int]) -> float:
        return 2.5

    expected = decode(path, channels=3, reduction=half)
    found = decode_fast(path, channels=3, reduction=half)
    assert expected.size == (42, 31)
    assert np.abs(array(found) - array(expected)).mean() < 0.5


def test_damaged_files_are_refused_as_by_pillow(tmp_path: Path) -> None:
    """Cut, torn, and with changed bytes: the verdict on each of 240 files is the same."""
    sound = written(tmp_path / "a.jpg", "RGB", {"quality": 85}).read_bytes()
    random = np.random.default_rng(0)
    path = tmp_path / "damaged.jpg"

    def cut(at: int) -> bytes:
        return sound[:at]

    def torn(at: int) -> bytes:
        return sound[:at] + bytes(len(sound) - at)

    def changed(at: int) -> bytes:
        return sound[:at] + bytes([sound[at] ^ int(random.integers(1, 256))]) + sound[at + 1 :]

    def verdict(read: Callable[[], object]) -> str:
        try:
            read()
        except UnreadableImageError as error:
            return error.reason
        return "read"

    refused = 0
    for damage in (cut, torn, changed):
        for at in random.integers(2, len(sound) - 2, 80):
            path.write_bytes(damage(int(at)))
            expected = verdict(lambda: decode(path, channels=3))
            found = verdict(lambda: decode_fast(path, channels=3))
            assert found == expected, (damage.__name__, int(at))
            refused += expected != "read"
    assert 150 < refused < 235  # a changed byte often leaves a picture


def batches(part: Files, *, shuffle: bool) -> list[torch.Tensor]:
    items = [{"name": "random_resized_crop", "size": 24}] if shuffle else [
        {"name": "resize", "size": [24, 24]}]  # fmt: skip
    loader = StreamLoader(part, name="train", pipeline=build_pipeline(items),
                          batching=Batching(4, shuffle=shuffle))  # fmt: skip
    return [batch.images for batch in loader.batches(1)]


def test_it_is_for_shuffled_batches_alone(tmp_path: Path, monkeypatch) -> None:
    """The same windows of the same images; evaluation has Pillow's pixels, bit for bit."""
    asked: list[int] = []
    decode_jpeg = module.decode_jpeg
    monkeypatch.setattr(
        module, "decode_jpeg", lambda *a, **k: asked.append(1) or decode_jpeg(*a, **k)
    )
    paths = tuple(
        written(tmp_path / f"{number}.jpg", "RGB", {"quality": 80 + number}) for number in range(5)
    )
    plain = Files(paths, torch.zeros(5, dtype=torch.int64), 3)
    fast = Files(paths, plain.targets, 3, decoder="simplejpeg")
    for ours, theirs in zip(batches(fast, shuffle=True), batches(plain, shuffle=True), strict=True):
        assert (ours - theirs).abs().mean() < 1 / 255
    assert len(asked) == 5
    pairs = zip(batches(fast, shuffle=False), batches(plain, shuffle=False), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)
    assert len(asked) == 5
