"""`cnntrain fit FOLDER`, from images to a run that predicts."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Cnntrain = Callable[..., Any]


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """20 images of 2 classes, 32 pixels wide, and no weights in torch's cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for label, colour in (("red", (200, 0, 0)), ("blue", (0, 0, 200))):
        Path("my_images", label).mkdir(parents=True)
        for number in range(10):
            shade = tuple(min(c + number, 255) for c in colour)
            Image.new("RGB", (32, 32), shade).save(f"my_images/{label}/{number}.png")
    return Path("my_images")


def test_a_folder_is_enough(cnntrain: Cnntrain, images: Path) -> None:
    given = ("--epochs", "1", "-s", "data.workers=0")
    first = cnntrain("fit", "my_images/", *given, "--out", "one")
    assert first.code == 0, first.err
    assert first.out == "one\n"
    lines = first.err.splitlines()
    assert lines[0] == "my_images: 20 images of 2 classes, about 32 pixels wide or high"
    assert lines[1].startswith("chosen: starter; ")
    same = "cnntrain fit my_images.yaml -s train.epochs=1 -s data.workers=0"
    assert sorted(lines[2].partition("to repeat it: ")[2].split()) == sorted(same.split())
    assert "16 train, 4 validation" in first.err
    assert "  select: last " in Path("my_images.yaml").read_text()
    assert "partly chance" not in first.err
    assert not list(images.glob("*.yaml"))
    again = cnntrain("fit", "my_images/", *given, "--resume", "auto", "--out", "one", "-q")
    assert (again.code, again.out) == (0, "one\n")
    assert cnntrain("predict", "one", "my_images/red/0.png").code == 0


def test_resume_auto_begins_and_finds_its_run(cnntrain: Cnntrain, images: Path) -> None:
    words = ("fit", str(images), "--resume", "auto", "--epochs", "1", "-s", "data.workers=0", "-q")
    first, second = cnntrain(*words), cnntrain(*words)
    assert first.code == second.code == 0, first.err + second.err
    assert first.out == second.out
    assert first.out.startswith("runs/my_images/")
    assert [path.name for path in Path().glob("*.yaml")] == ["my_images.yaml"]


def test_a_folder_without_classes_writes_nothing(cnntrain: Cnntrain) -> None:
    Path("empty").mkdir()
    answer = cnntrain("fit", "empty")
    assert answer.code == 3
    assert not list(Path().glob("*.yaml"))


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("flat", "starter -s data.name=file_names -s 'data.pattern=([^_]+)_.*' -s data.root=flat"),
        ("table", "starter -s data.name=csv -s data.file=table/labels.csv -s data.root=null"),
        (
            "table/labels.csv",
            "starter -s data.name=csv -s data.file=table/labels.csv -s data.root=null",
        ),
        ("saved", "starter -s data.name=huggingface -s data.path=saved -s data.root=null"),
        ("my_images/train", "my_images"),
    ],
)
def test_the_line_for_another_layout_works(
    cnntrain: Cnntrain, images: Path, given: str, line: str
) -> None:
    for folder in ("flat", "table", "saved/data", "my_images/train", "my_images/val"):
        Path(folder).mkdir(parents=True)
    rows = ["path,label"]
    for label in ("red", "blue"):
        for number in range(10):
            content = (images / label / f"{number}.png").read_bytes()
            for folder in ("flat", "table"):
                Path(folder, f"{label}_{number}.png").write_bytes(content)
            rows.append(f"{label}_{number}.png,{label}")
        shutil.copytree(images / label, f"my_images/val/{label}")
        shutil.move(images / label, f"my_images/train/{label}")
    Path("table/labels.csv").write_text("\n".join(rows))
    Path("saved/data/train-00000-of-00001.parquet").touch()
    answer = cnntrain("fit", given)
    assert answer.code == 3
    assert f"cnntrain fit {line}" in answer.err
    words = shlex.split(line)
    if words[0] == "starter":
        assert cnntrain("check", *words).code == 0
    else:
        assert cnntrain("fit", *words, "--epochs=1", "-s", "data.workers=0", "-q").code == 0


def test_an_archive_is_to_be_unpacked(cnntrain: Cnntrain) -> None:
    Path("photos.zip").touch()
    answer = cnntrain("fit", "photos.zip")
    assert answer.code == 3
    assert "unpack it, and name the folder (cnntrain fit FOLDER)" in answer.err
