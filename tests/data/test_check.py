"""The report on a data set."""

import math
import shutil

import numpy as np
import pytest
from PIL import Image

from cnntrain.data import check, same_images, strips
from cnntrain.data.check import check_data


def test_a_folder_with_everything_wrong(make_folder) -> None:
    root = make_folder({"train/a": 6, "train/b": 2, "val/a": 2, "val/b": 1})
    train, val = root / "train", root / "val"
    shutil.copy(train / "a" / "00.png", val / "a" / "leak.png")
    shutil.copy(train / "a" / "01.png", train / "b" / "twin.png")
    (train / "a" / "05.png").write_bytes(b"broken")
    (train / "a" / "readme.txt").write_text("x")
    report = check_data("image_folder", parameters={"root": str(root)})
    assert report.counts == {"train": (6, 3), "validation": (3, 1)}
    assert report.sizes == {"train": (((8, 10), 8),), "validation": (((8, 10), 4),)}
    assert [item.path for item in report.unreadable] == [train / "a" / "05.png"]
    assert report.imbalance == 2.0
    leak, twin = report.duplicates
    assert leak.splits == ("train", "validation")
    assert [image[1] for image in leak.images] == [
        str(train / "a" / "00.png"),
        str(val / "a" / "leak.png"),
    ]
    assert twin.splits == ("train",)
    assert twin.classes == ("a", "b")
    assert report.leaks == (leak,)
    assert len(report.notes) == 1
    assert not report.is_clean


def test_a_clean_set_in_memory() -> None:
    report = check_data("synthetic", parameters={"size": 4, "classes": 2, "images": 10})
    assert report.counts == {"train": (5, 5), "test": (128, 128)}
    assert report.duplicates == ()
    assert report.sizes["train"] == (((4, 4), 10),)
    assert report.is_clean


def test_skipped_files_are_reported(make_folder) -> None:
    root = make_folder({"train/a": 2, "train/b": 2})
    (root / "train" / "a" / "00.png").write_bytes(b"")
    report = check_data("image_folder", parameters={"root": str(root), "unreadable": "skip"})
    assert report.counts == {"train": (1, 2)}
    assert len(report.unreadable) == 1


def test_images_too_small_for_a_crop_are_told(make_folder) -> None:
    """They are 8 x 10, 9 x 12 and 10 x 14; with a padding of 1 only the last is high enough."""
    root = make_folder({"train/a": 3, "train/b": 1, "val/a": 2, "val/b": 1}, grow=1)
    report = check_data(
        "image_folder",
        parameters={"root": str(root)},
        train_transforms=[("random_crop", {"size": 12, "padding": 1})],
        eval_transforms=[("center_crop", {"size": [9, 12]})],
    )
    crop, center = report.unfit
    assert (crop.split, crop.transform, crop.images) == ("train", "random_crop", 3)
    assert crop.reason == (
        "a crop of 12 x 12 is larger than the image of 8 x 10 with its padding (10 x 12)"
    )
    assert crop.example == str(root / "train" / "a" / "00.png")
    assert (center.split, center.transform, center.images) == ("validation", "center_crop", 2)
    assert not report.is_clean


def test_imbalance_is_the_largest_class_over_the_smallest() -> None:
    def imbalance(images: int) -> float:
        return check_data("synthetic", parameters={"classes": 3, "images": images}).imbalance

    assert imbalance(7) == 1.5
    assert imbalance(2) == math.inf


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("pixels", [1, 7, 10, 1000])
def test_a_picture_is_hashed_in_strips_as_in_one_piece(
    monkeypatch: pytest.MonkeyPatch, mode: str, pixels: int
) -> None:
    """Strips of less than a row, of one, of three and a rest, and of all of it."""
    monkeypatch.setattr(strips, "STRIP", pixels)
    noise = np.random.default_rng(0).integers(0, 256, (10, 3, 3)).astype(np.uint8)
    picture = Image.fromarray(noise).convert(mode)
    assert check._picture_hash(picture) == same_images._hash(picture.tobytes(), (10, 3))
    assert check._picture_hash(picture) != check._picture_hash(picture.rotate(180))
