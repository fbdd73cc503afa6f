"""A run goes on with the data that it was started with, and reports what has changed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from cnntrain.checkpoint import load as load_checkpoint
from cnntrain.checkpoint import save
from cnntrain.core.errors import CheckpointError
from cnntrain.fit.fit import Outcome

Train = Callable[..., Outcome]
RunFile = Callable[..., Path]

GIVEN = {"normalize": {"mean": [0.5] * 3, "std": [0.5] * 3}}
FOLDER = {
    "train.epochs": 2,
    "data": {
        "name": "image_folder",
        "root": "images",
        "batch_size": 8,
        "transforms": {split: [{"resize": {"size": [8, 8]}}, GIVEN] for split in ("train", "eval")},
    },
}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Six training images of each of two classes, every file of another size."""
    for split, count in (("train", 6), ("val", 2)):
        for number, name in enumerate(("class0", "class1")):
            folder = tmp_path / "images" / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                picture = Image.new("RGB", (12, 10), (40 + 120 * number, 100 + index, 20 * index))
                file = folder / f"{index}.bmp"
                picture.save(file)
                os.truncate(file, file.stat().st_size + 10 * number + index)  # zeros after its end
    return tmp_path / "images"


def exchange(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def move(images: Path) -> None:
    (images / "train/class0/5.bmp").rename(images / "train/class1/9.bmp")
    (images / "train/class1/0.bmp").rename(images / "train/class0/0x.bmp")


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "exchanged": (
        lambda at: exchange(at / "train/class0/5.bmp", at / "train/class1/5.bmp"),
        r"train: class0/5.bmp has 429 bytes instead of 419; 2 files differ",
    ),
    "renamed": (
        lambda at: (at / "train/class0/5.bmp").rename(at / "train/class0/6.bmp"),
        r"train: class0/5.bmp is gone; 1 file differs",
    ),
    "moved": (
        lambda at: [
            (at / "train/class0/5.bmp").rename(at / "train/class1/5_.bmp"),
            (at / "train/class1/5.bmp").rename(at / "train/class0/5.bmp"),
            (at / "train/class1/5_.bmp").rename(at / "train/class1/5.bmp"),
        ],
        r"2 files differ",
    ),
    "one of the validation images": (
        lambda at: exchange(at / "val/class0/1.bmp", at / "val/class1/1.bmp"),
        r"validation: class0/1.bmp has",
    ),
    "added": (
        lambda at: shutil.copy(at / "train/class1/0.bmp", at / "train/class1/new.bmp"),
        r"13 training images instead of 12.*; train: class1/new.bmp is new; 1 file differs",
    ),
    "of another class": (
        lambda at: (at / "train/class0/5.bmp").rename(at / "train/class1/5.BMP"),
        r"train: class0/5.bmp is gone",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_files_are_refused(
    run_file: RunFile, train_tiny: Train, tmp_path: Path, images: Path, change: str
) -> None:
    train_tiny(run_file(FOLDER), out=tmp_path / "run", stop=1)
    before = (tmp_path / "run" / "checkpoints/last.pt").read_bytes()
    do, expected = CHANGES[change]
    do(images)
    with pytest.raises(CheckpointError, match=expected):
        train_tiny(resumed=tmp_path / "run")
    assert (tmp_path / "run" / "checkpoints/last.pt").read_bytes() == before


def test_an_image_in_another_class_is_named(
    run_file: RunFile, train_tiny: Train, tmp_path: Path, images: Path
) -> None:
    (images / "train/class1/5.bmp").unlink()
    train_tiny(run_file(FOLDER), out=tmp_path / "run", stop=1)
    (images / "train/class0/5.bmp").rename(images / "train/class1/5.bmp")
    with pytest.raises(CheckpointError, match=r"train: class0/5.bmp is of class1 now; 1 file"):
        train_tiny(resumed=tmp_path / "run")


def test_the_same_files_elsewhere_are_the_same(
    run_file: RunFile, train_tiny: Train, tmp_path: Path, images: Path
) -> None:
    train_tiny(run_file(FOLDER), out=tmp_path / "run", stop=1)
    images.rename(tmp_path / "elsewhere")
    overrides = [f"data.root={tmp_path / 'elsewhere'}"]
    assert train_tiny(resumed=tmp_path / "run", overrides=overrides).exit_code == 0


def test_the_comparison_can_be_turned_off(
    run_file: RunFile,
    train_tiny: Train,
    tmp_path: Path,
    images: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train_tiny(run_file(FOLDER), out=tmp_path / "run", stop=1)
    exchange(images / "train/class0/5.bmp", images / "train/class1/5.bmp")
    with pytest.raises(CheckpointError, match=r"resume with these: -s data.fingerprint=off"):
        train_tiny(resumed=tmp_path / "run")
    train_tiny(resumed=tmp_path / "run", overrides=["data.fingerprint=off"], quiet=False)
    assert "data.fingerprint is off: the files are not compared" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["names", "content"])
def test_the_content_is_compared_on_request(
    run_file: RunFile, train_tiny: Train, tmp_path: Path, images: Path, kind: str
) -> None:
    train_tiny(run_file({**FOLDER, "data.fingerprint": kind}), out=tmp_path / "run", stop=1)
    file = images / "train/class0/5.bmp"
    file.write_bytes(file.read_bytes()[:-7] + b"another")  # as long as before
    if kind == "names":
        assert train_tiny(resumed=tmp_path / "run").exit_code == 0
        return
    with pytest.raises(CheckpointError, match=r"train: class0/5.bmp has other content; 1 file"):
        train_tiny(resumed=tmp_path / "run")


def test_other_pixels_are_refused_and_an_older_checkpoint_is_not(
    run_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    last = tmp_path / "run" / "checkpoints/last.pt"
    train_tiny(run_file(), out=tmp_path / "run", stop=2)
    state = load_checkpoint(last)
    state["fingerprint"]["test"]["labels"] = "0"  # type: ignore[index]
    save(last, state)
    with pytest.raises(CheckpointError, match=r"not those of .*; test: other labels; give"):
        train_tiny(resumed=tmp_path / "run")
    del state["fingerprint"]
    save(last, state)
    assert train_tiny(resumed=tmp_path / "run").exit_code == 0
