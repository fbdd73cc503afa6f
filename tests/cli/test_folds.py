"""`cnntrain fit --folds`: the table, the folder, going on, and what cannot be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

RunFile = Callable[..., Path]
Cnntrain = Callable[..., Any]
SHORT = {"train.epochs": 1, "data.images": 24, "data.split.validation": None}


def test_a_table_and_the_folder_on_stdout(cnntrain: Cnntrain, run_file: RunFile) -> None:
    answer = cnntrain("fit", run_file(SHORT), "--folds", 2, "-q")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert [line.split()[0] for line in lines[:5]] == ["fold", "1", "2", "mean", "+-"]
    assert lines[0].split()[-2:] == ["test", "error"]
    folder = Path(lines[-1])
    assert folder.name.endswith("-2folds")
    assert (folder / "fold2" / "checkpoints" / "last.pt").is_file()
    assert "fold 2 of 2" in answer.err
    again = cnntrain("fit", "--resume", folder, "-q")
    assert (again.code, again.out) == (0, answer.out)


def test_what_does_not_go_together(cnntrain: Cnntrain, run_file: RunFile) -> None:
    file = run_file(SHORT)
    assert "greater than or equal to 2" in cnntrain("fit", file, "--folds", 1).err
    answer = cnntrain("fit", file, "--folds", 2, "-s", "data.split.validation=0.5")
    assert (answer.code, "remove one of the two" in answer.err) == (2, True)
    answer = cnntrain("fit", "--resume", "runs/tiny", "--folds", 2)
    assert (answer.code, "remove --folds" in answer.err) == (2, True)
    answer = cnntrain("fit", "--folds", 2)
    assert (answer.code, "give either a run file" in answer.err) == (2, True)


def test_images_with_a_validation_split_of_their_own(cnntrain: Cnntrain, run_file: RunFile) -> None:
    """It is refused before a fold is announced and a folder made; a key leaves the split out."""
    for folder in ("train/a", "train/b", "val/a", "val/b"):
        (Path("images") / folder).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(f"images/{folder}/{number}.png")
    resize = [{"resize": {"size": [8, 8]}}]
    sides = {"train": resize, "eval": resize}
    data = {"name": "image_folder", "root": "images", "batch_size": 4, "transforms": sides}
    file = run_file({"train.epochs": 1, "data": data})
    answer = cnntrain("fit", file, "--folds", 2)
    assert answer.code == 2
    assert "--folds splits the training images, but the data set 'image_folder' has" in answer.err
    assert "data.validation`" not in answer.err
    assert "set `data.validation_folder: false`" in answer.err
    assert "fold 1" not in answer.err
    assert not Path("runs").exists()
    answer = cnntrain("fit", file, "--folds", 2, "-q", "-s", "data.validation_folder=false")
    assert (answer.code, "fold 2 of 2" in answer.err) == (0, True)


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({}, True),
        ({"data.sampling": "balanced"}, False),
        ({"train.loss": {"name": "cross_entropy", "class_weights": "balanced"}}, False),
    ],
)
def test_uneven_classes_and_their_remedy(
    cnntrain: Cnntrain, run_file: RunFile, changes: dict[str, Any], remedy: bool
) -> None:
    """4 images of 3 classes: one has twice as many as the others."""
    answer = cnntrain("data", "check", run_file({**SHORT, "data.images": 4, **changes}))
    assert "largest class over smallest: 2.00" in answer.out
    assert ("set data.sampling" in answer.out) == remedy


def test_an_image_too_small_for_its_crop(cnntrain: Cnntrain, run_file: RunFile) -> None:
    crop = {"data.transforms": {"train": [{"random_crop": {"size": 6}}], "eval": []}}
    assert cnntrain("data", "check", run_file(crop)).code == 0
    crop = {"data.transforms": {"train": [{"random_crop": {"size": 9}}], "eval": []}}
    answer = cnntrain("data", "check", run_file(crop))
    assert answer.code == 3
    assert "too small for random_crop: 72 images of train, such as image 0" in answer.out
