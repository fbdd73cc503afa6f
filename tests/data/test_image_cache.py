"""Decoded images on the disk: the right pixels, made once, whatever happens meanwhile."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as oracle
from PIL import Image

from cnntrain.core.errors import DiskError
from cnntrain.data import image_cache, stored_images
from cnntrain.data.decode import UnreadableImageError
from cnntrain.data.image_cache import ImageCache, with_cache
from cnntrain.data.loaders import open_data
from cnntrain.data.splits import Files
from cnntrain.data.stored_images import INDEX, PIXELS, read_index

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # Python 3.12

SHORT = 20
SIZES = [(30, 44), (41, 27), (20, 33), (12, 50), (64, 64), (31, 30)]
"""Heights and widths; of two of them the shorter side is not above SHORT."""


@pytest.fixture
def part(tmp_path: Path) -> Files:
    """JPEGs and PNGs of different sizes."""
    (tmp_path / "images").mkdir()
    paths = []
    for number, size in enumerate(SIZES):
        suffix = ".jpg" if number % 2 else ".png"
        paths.append(tmp_path / "images" / f"{number}{suffix}")
        write(paths[-1], size, seed=number)
    return Files(tuple(paths), torch.arange(len(paths)), 3)


@pytest.fixture
def cache(tmp_path: Path) -> ImageCache:
    return ImageCache(SHORT, tmp_path / "caches")


@pytest.fixture
def decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many images were decoded since the last call, by this process and its children."""
    log = tmp_path / "decoded"
    decode = image_cache.decode

    def counted(path: Path, **how: Any) -> Image.Image:
        with log.open("ab") as file:
            file.write(b".")
        return decode(path, **how)

    def count() -> int:
        found = log.stat().st_size if log.exists() else 0
        log.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(image_cache, "decode", counted)
    return count


def write(path: Path, size: tuple[int, int], *, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)


def expected(path: Path) -> Image.Image:
    """By torchvision, on Pillow's image."""
    picture = Image.open(path).convert("RGB")
    return oracle.resize(picture, [SHORT]) if min(picture.size) > SHORT else picture


def wrong_pixels(part: Files) -> int:
    """Of all images, in both ways of reading them."""
    wrong = 0
    for index, path in enumerate(part.paths):
        right = np.asarray(expected(path))
        for found in (part.open(index), part.read(index)):
            assert np.shape(found) == right.shape
            wrong += int((np.asarray(found) != right).sum())
        assert part.size_of(index) == right.shape[:2]
    return wrong


def only_folder(cache: ImageCache) -> Path:
    assert cache.folder is not None
    (folder,) = cache.folder.iterdir()
    return folder


def test_no_pixel_is_wrong(part: Files, cache: ImageCache, decoded: Callable[[], int]) -> None:
    assert wrong_pixels(with_cache(part, cache, name="train")) == 0
    assert decoded() == len(SIZES)
    again = with_cache(part, cache, name="train")
    some = again.select(torch.tensor([4, 1]))
    assert (wrong_pixels(again), wrong_pixels(some)) == (0, 0)
    assert decoded() == 0, "the second run decodes nothing"
    assert wrong_pixels(with_cache(part.select(torch.tensor([5, 0])), cache, name="train")) == 0
    assert decoded() == 0, "nor does one on some of the images"


def test_grey_images(part: Files, cache: ImageCache) -> None:
    grey = Files(part.paths[:1], part.targets[:1], 1)
    found = with_cache(grey, cache, name="train")
    right = oracle.resize(Image.open(grey.paths[0]).convert("L"), [SHORT])
    assert np.array_equal(np.asarray(found.open(0)), np.asarray(right))
    assert np.array_equal(np.asarray(found.read(0))[..., 0], np.asarray(right))


def test_its_size_is_said_before(part: Files, cache: ImageCache, capsys) -> None:
    needed = sum(np.asarray(expected(path)).size for path in part.paths)
    assert needed == 9_720
    with_cache(part, cache, name="train")
    said = capsys.readouterr().err
    folder = only_folder(cache)
    assert said.splitlines() == [
        "train: 6 images are decoded once and kept, resized to a shorter side of 20: 9.7 kB in "
        f"{folder}"
    ]
    assert (folder / PIXELS).stat().st_size == needed
    with_cache(part, cache, name="train")
    assert capsys.readouterr().err == ""


def in_children(count: int, do: Callable[[int], object]) -> list[int | None]:
    """Call it in processes of their own; their exit codes."""
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=do, args=(number,)) for number in range(count)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    return [child.exitcode for child in children]


def test_four_processes_make_it_once(
    part: Files, cache: ImageCache, decoded: Callable[[], int]
) -> None:
    together = multiprocessing.get_context("fork").Barrier(4)

    def make(number: int) -> None:
        together.wait(30)
        assert wrong_pixels(with_cache(part, cache, name="train")) == 0

    assert in_children(4, make) == [0] * 4
    assert decoded() == len(SIZES), "each image once, by whichever process"
    assert (only_folder(cache) / PIXELS).stat().st_size == 9_720


@pytest.mark.parametrize("saved", [0.0, 30.0])
def test_a_process_may_be_killed_while_it_makes_it(
    part: Files, cache: ImageCache, decoded: Callable[[], int], saved: float, monkeypatch
) -> None:
    """At each image; what the index has by then is not decoded again."""
    monkeypatch.setattr(image_cache, "_SAVED_EVERY", saved)
    digest = image_cache.digest

    def killed(number: int) -> None:
        seen: list[int] = []

        def dying(pixels: Any) -> int:
            seen.append(1)
            if len(seen) > number:
                os.kill(os.getpid(), signal.SIGKILL)
            return digest(pixels)

        monkeypatch.setattr(image_cache, "digest", dying)
        with_cache(part, cache, name="train")

    for number in range(len(SIZES)):
        shutil.rmtree(cache.folder, ignore_errors=True)
        assert in_children(1, lambda _, number=number: killed(number)) == [-signal.SIGKILL]
        decoded()
        assert wrong_pixels(with_cache(part, cache, name="train")) == 0
        assert decoded() == (len(SIZES) - number if saved == 0 else len(SIZES))
        assert (only_folder(cache) / PIXELS).stat().st_size == 9_720


def test_a_changed_file_is_noticed(
    part: Files, cache: ImageCache, decoded: Callable[[], int]
) -> None:
    before = with_cache(part, cache, name="train")
    old = np.array(before.open(2))
    decoded()
    write(part.paths[2], (50, 25), seed=99)
    found = with_cache(part, cache, name="train")
    assert decoded() == 1
    assert wrong_pixels(found) == 0
    assert np.array_equal(np.asarray(before.open(2)), old), "a run under way keeps what it had"
    # of the same size, at another time
    content = bytearray(part.paths[0].read_bytes())
    part.paths[0].write_bytes(content)
    os.utime(part.paths[0], ns=(1, 1))
    assert wrong_pixels(with_cache(part, cache, name="train")) == 0
    assert decoded() == 1


def test_other_settings_are_another_cache(part: Files, cache: ImageCache) -> None:
    with_cache(part, cache, name="train")
    smaller = ImageCache(10, cache.folder)
    assert with_cache(part, smaller, name="train").size_of(4) == (10, 10)
    assert wrong_pixels(with_cache(part, cache, name="train")) == 0


def test_damaged_pixels_are_noticed(part: Files, cache: ImageCache, capsys) -> None:
    with_cache(part, cache, name="train")
    file = only_folder(cache) / PIXELS
    content = bytearray(file.read_bytes())
    content[700] ^= 1
    file.write_bytes(content)
    capsys.readouterr()
    assert wrong_pixels(with_cache(part, cache, name="train")) == 0
    said = capsys.readouterr().err
    assert said.count("is damaged") == said.count("Delete the folder") == 1


@pytest.mark.parametrize("damage", ["index", "shorter", "gone", "no index"])
def test_a_damaged_cache_is_made_again(
    part: Files, cache: ImageCache, decoded: Callable[[], int], damage: str
) -> None:
    with_cache(part, cache, name="train")
    folder = only_folder(cache)
    decoded()
    match damage:
        case "index":
            (folder / INDEX).write_bytes((folder / INDEX).read_bytes()[:-40])
        case "shorter":
            os.truncate(folder / PIXELS, 5000)
        case "gone":
            shutil.rmtree(folder)
        case "no index":
            (folder / INDEX).unlink()
    assert wrong_pixels(with_cache(part, cache, name="train")) == 0
    assert decoded() == len(SIZES)


def test_the_folder_may_be_replaced_under_a_run(part: Files, cache: ImageCache) -> None:
    """Another file of the same length is not read as if it were the first."""
    first = with_cache(part.select(torch.tensor([4, 5])), cache, name="train")
    shutil.rmtree(only_folder(cache))
    with_cache(part.select(torch.tensor([5, 4])), cache, name="train")
    stored_images._mapped.cache_clear()  # as in a worker that has not read yet
    assert wrong_pixels(first) == 0


def test_an_unreadable_file_is_named_and_the_others_are_kept(
    part: Files, cache: ImageCache, decoded: Callable[[], int], monkeypatch
) -> None:
    monkeypatch.setattr(image_cache, "header_size", lambda path: (30, 30))
    sound = part.paths[3].read_bytes()
    part.paths[3].write_bytes(sound[:-300])
    with pytest.raises(UnreadableImageError, match=r"3\.jpg"):
        with_cache(part, cache, name="train")
    decoded()
    part.paths[3].write_bytes(sound)
    assert wrong_pixels(with_cache(part, cache, name="train")) == 0
    assert decoded() <= 3


def test_no_space_is_said_before(part: Files, cache: ImageCache, monkeypatch) -> None:
    usage = shutil.disk_usage(part.paths[0].parent)._replace(free=9_000)
    monkeypatch.setattr(image_cache.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DiskError, match=r"9\.7 kB needed, 9\.0 kB free; .*data.cache.folder"):
        with_cache(part, cache, name="train")
    assert len(read_index(only_folder(cache), channels=3).keys) == 0


def folder_of(part: Files) -> dict[str, str]:
    """Its files as a data set with a training and a validation split."""
    root = part.paths[0].parent
    for number, path in enumerate(part.paths):
        place = root / ("val" if number in (1, 4) else "train") / ("a" if number < 3 else "b")
        place.mkdir(parents=True, exist_ok=True)
        path.rename(place / path.name)
    return {"root": str(root)}


@pytest.mark.parametrize("resize", [SHORT, 24])
def test_evaluation_never_changes_by_it(part: Files, cache: ImageCache, resize: int) -> None:
    how: dict[str, Any] = {
        "parameters": folder_of(part),
        "train_transforms": [("random_resized_crop", {"size": 8})],
        "eval_transforms": [("resize", {"size": resize}), ("center_crop", {"size": 16})],
        "workers": 0,
        "memory": "stream",
    }
    plain, cached = (open_data("image_folder", cache=each, **how) for each in (None, cache))
    for ours, theirs in zip(cached.validation.batches(0), plain.validation.batches(0), strict=True):
        assert torch.equal(ours.images, theirs.images)
    assert len(list(cache.folder.iterdir())) == (2 if resize == SHORT else 1)  # train; val too
    ours, theirs = (next(each.train.batches(1)).images for each in (cached, plain))
    assert ours.shape == theirs.shape == (4, 3, 8, 8)


def test_batches_do_not_depend_on_workers(part: Files, cache: ImageCache) -> None:
    how: dict[str, Any] = {
        "parameters": folder_of(part),
        "train_transforms": [("random_resized_crop", {"size": 8}), ("horizontal_flip", {})],
        "eval_transforms": [("resize", {"size": 8})],
        "cache": cache,
        "memory": "stream",
    }
    alone, helped = (open_data("image_folder", workers=workers, **how) for workers in (0, 1))
    for ours, theirs in zip(helped.train.batches(1), alone.train.batches(1), strict=True):
        assert torch.equal(ours.images, theirs.images)
    helped.close()


def test_images_in_memory_need_none(cache: ImageCache) -> None:
    with pytest.raises(ValueError, match="'synthetic' are in memory"):
        open_data("synthetic", parameters={"size": 8, "images": 40}, cache=cache)
