"""The same 60 photographs in eight layouts: what `fit` does and says; see docs/your-images.md."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

Cnntrain = Callable[..., Any]
RunFile = Callable[..., Path]
PAGE = Path(__file__).parents[2] / "docs" / "your-images.md"
JXL = b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40)
CAFE = unicodedata.normalize("NFC", "caf\u00e9")


@dataclass(frozen=True)
class Layout:
    """How the photographs lie, what is written for it, how many are for what, what is said."""

    build: Callable[[Path], None]
    write: tuple[str, ...]
    counts: dict[str, int]
    says: str = ""


def photograph(number: int) -> Image.Image:
    """20 of each of three classes; classes differ in colour, no two are equal."""
    noise = np.random.default_rng(number).integers(0, 90, (20, 24, 3))
    noise[..., number % 3] += 150
    return Image.fromarray(noise.astype(np.uint8))


def put(root: Path, name: Callable[[int, str], str], labels: tuple[str, ...]) -> None:
    for number in range(60):
        path = root / name(number, labels[number % 3])
        path.parent.mkdir(parents=True, exist_ok=True)
        photograph(number).save(path)


LABELS = ("bird", "cat", "dog")


def split_of(number: int) -> str:
    return "val" if number % 5 == 4 else "train"


def by_split(root: Path) -> None:
    put(root, lambda n, label: f"{split_of(n)}/{label}/{n}.jpg", LABELS)


def by_class(root: Path) -> None:
    put(root, lambda n, label: f"{label}/{n}.jpg", LABELS)


def with_a_table(root: Path) -> None:
    put(root, lambda n, _: f"{n}.jpg", LABELS)
    lines = [f"{n}.jpg;{LABELS[n % 3]};{split_of(n)}" for n in range(60)]
    (root / "labels.csv").write_text("\ufefffile;class;split\n" + "\n".join(lines), "utf-8")


def in_names(root: Path) -> None:
    put(root, lambda n, label: f"{label}_{n}.jpg", LABELS)


def a_level_deep(root: Path) -> None:
    by_split(root / root.name)


def with_phones(root: Path) -> None:
    by_class(root)
    for number in range(0, 12, 3):
        avif = features.check("avif")
        photograph(number).save(root / "bird" / f"{number}.{'avif' if avif else 'png'}")
        (root / "bird" / f"{number}.jpg").unlink()
    (root / "cat" / "IMG_1.jxl").write_bytes(JXL)


def twins(root: Path) -> None:
    put(root, lambda n, label: f"{label}/{n}.jpg", (CAFE, "tea", "water"))
    (root / unicodedata.normalize("NFD", CAFE)).mkdir()
    for number in range(0, 30, 3):
        shutil.move(root / CAFE / f"{number}.jpg", root / unicodedata.normalize("NFD", CAFE))


FIFTH = {"train": 48, "validation": 12}
LAYOUTS = {
    "train and val": Layout(by_split, ("data.root=photos",), FIFTH),
    "no split": Layout(
        by_class,
        ("data.root=photos",),
        FIFTH,
        "images are in no splits, so some are held out: 48 train, 12 validation (by class, seed",
    ),
    "a table": Layout(
        with_a_table, ("data.name=csv", "data.root=null", "data.file=photos/labels.csv"), FIFTH
    ),
    "classes in the names": Layout(
        in_names,
        ("data.name=file_names", "data.root=photos", "data.pattern=CLASS_*"),
        FIFTH,
        "so some are held out: 48 train, 12 validation",
    ),
    "a level deep": Layout(
        a_level_deep,
        ("data.root=photos",),
        FIFTH,
        "photos holds nothing but a folder of folders: photos/photos is used",
    ),
    "misspelt": Layout(
        by_class,
        ("data.root=fotos",),
        {},
        "there is no folder fotos; did you mean -s data.root=photos?",
    ),
    "JPEG XL and AVIF": Layout(with_phones, ("data.root=photos",), FIFTH, "IMG_1.jxl"),
    "twins": Layout(twins, ("data.root=photos",), FIFTH, f"are called '{CAFE}'"),
}


@pytest.fixture
def file(run_file: RunFile) -> Path:
    """The smallest network on 8 x 8 pixels, for one epoch."""
    steps = [{"resize": {"size": [8, 8]}}, "normalize"]
    data = {
        "name": "image_folder",
        "root": "photos",
        "batch_size": 16,
        "transforms": {"train": steps, "eval": steps},
    }
    return run_file({"data": data, "train.epochs": 1})


def overrides(layout: Layout) -> list[str]:
    return [part for text in layout.write for part in ("-s", text)]


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_fit_does_and_says(cnntrain: Cnntrain, file: Path, name: str) -> None:
    layout = LAYOUTS[name]
    layout.build(Path("photos"))
    answer = cnntrain("fit", file, "--out", "run", *overrides(layout))
    assert layout.says in answer.err
    if not layout.counts:
        assert answer.code == 3
        assert not Path("run").exists()
        return
    assert answer.code == 0, answer.err
    shown = ", ".join(f"{count} {split}" for split, count in layout.counts.items())
    assert f": {shown} images" in answer.err
    evaluated = json.loads(cnntrain("eval", "run", "--json").out)
    assert evaluated["images"] == layout.counts["validation"]


def of_a_library(root: Path) -> None:
    """Saved by the library `datasets`."""
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    by_split(root / "files")
    datasets.load_dataset("imagefolder", data_dir=str(root / "files")).save_to_disk(root / "saved")


SAVED = {"saved": Layout(of_a_library, (), FIFTH)}


@pytest.mark.filterwarnings("ignore")  # the library's own
@pytest.mark.parametrize("name", ["no split", "a table", "classes in the names", "saved"])
def test_every_command_takes_the_images(cnntrain: Cnntrain, file: Path, name: str) -> None:
    layout = {**LAYOUTS, **SAVED}[name]
    layout.build(Path("photos"))
    given = overrides(layout)
    if name == "saved":
        text = file.read_text("utf-8").replace("name: image_folder", "name: huggingface")
        file.write_text(text.replace("root: photos", "path: photos/saved"), "utf-8")
    assert cnntrain("check", file, *given).code == 0
    assert "good: every" in cnntrain("data", "check", file, *given).out
    assert cnntrain("data", "show", file, *given).code == 0
    assert cnntrain("fit", file, "--out", "run", *given).code == 0
    image = next(path for path in sorted(Path("photos").rglob("*.jpg")))
    for command in (
        ["predict", "run", image],
        ["predict", "run", "photos"],
        ["export", "run", "--to", "safetensors"],
        ["retrieve", "run", image, "--out", "near.png"],
        ["visualize", "confusion", "run"],
    ):
        answer = cnntrain(*command)
        assert answer.code == 0, (command, answer.err)
    tuned = [*given, "-s", "finetune.weights.run=run", "-s", "name=tuned"]
    answer = cnntrain("fit", file, "--out", "tuned", *tuned)
    assert answer.code == 0, answer.err


def test_the_page_says_what_to_write() -> None:
    """Each layout's keys, as the table of the page has them."""
    page = PAGE.read_text("utf-8")
    for name, layout in LAYOUTS.items():
        for text in layout.write:
            if text not in ("data.root=photos", "data.root=fotos", "data.root=null"):
                assert f"-s {text}" in page.replace("'", ""), name
