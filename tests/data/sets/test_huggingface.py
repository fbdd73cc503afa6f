"""Data sets of the library `datasets`, made and saved here: the same images however they lie."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cnntrain.core.errors import DataError, UsageError
from cnntrain.data.sets.huggingface import huggingface
from cnntrain.data.splits import Files, Part

datasets = pytest.importorskip("datasets", reason="datasets is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # the library's own, and pandas' and pyarrow's


def picture(number: int) -> Image.Image:
    """Modes RGB, L, RGBA, P, 1 in turn; no two are equal."""
    pixels = np.random.default_rng(number).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(("RGB", "L", "RGBA", "P", "1")[number % 5])


def examples(count: int, *, start: int = 0) -> "datasets.Dataset":
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["dog", "cat"])}
    )
    numbers = range(start, start + count)
    columns = {"image": [picture(n) for n in numbers], "label": [n % 2 for n in numbers]}
    return datasets.Dataset.from_dict(columns, features=features)


@pytest.fixture
def whole() -> "datasets.DatasetDict":
    return datasets.DatasetDict({"train": examples(10), "validation": examples(4, start=10)})


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache" / "hf")


def pixels(part: Part | None) -> list[bytes]:
    assert part is not None
    return [part.open(index).tobytes() for index in range(len(part))]


EXPECTED = {
    "train": [picture(n).convert("RGB").tobytes() for n in range(10)],
    "validation": [picture(n).convert("RGB").tobytes() for n in range(10, 14)],
}


def save_to_disk(whole: "datasets.DatasetDict") -> None:
    whole.save_to_disk("saved")


def as_parquet(whole: "datasets.DatasetDict") -> None:
    Path("saved").mkdir()
    for split, part in whole.items():
        part.to_parquet(f"saved/{split}-00000-of-00001.parquet")


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("save", [save_to_disk, as_parquet])
def test_the_images_are_those_that_were_put_in(whole, save, streaming: bool) -> None:
    save(whole)
    splits = huggingface(path="saved", streaming=streaming)
    assert splits.classes == ("dog", "cat"), "in the order of the ClassLabel"
    assert {name: pixels(part) for name, part in splits.parts.items()} == EXPECTED
    assert splits.train.targets.tolist() == [n % 2 for n in range(10)]
    assert not splits.undivided


def test_images_are_written_once_and_not_decoded(whole, cache: Path) -> None:
    whole.save_to_disk("saved")
    first = huggingface(path="saved").train
    assert isinstance(first, Files)
    times = {path: path.stat().st_mtime_ns for path in first.paths}
    assert all(cache in path.parents for path in times)
    again = huggingface(path="saved").train
    assert isinstance(again, Files)
    assert {path: path.stat().st_mtime_ns for path in again.paths} == times
    stored = whole["train"].cast_column("image", datasets.Image(decode=False))
    assert [path.read_bytes() for path in first.paths] == [row["image"]["bytes"] for row in stored]


def test_other_images_in_the_same_place_are_not_those_of_before(whole) -> None:
    for start in (0, 20):
        part = examples(4, start=start)
        Path("saved").mkdir(exist_ok=True)
        part.to_parquet("saved/train.parquet")
        expected = [picture(n).convert("RGB").tobytes() for n in range(start, start + 4)]
        assert pixels(huggingface(path="saved", streaming=True).train) == expected


def test_image_folders_are_read_where_they_lie(make_folder) -> None:
    root = make_folder({"train/cat": 2, "train/dog": 3})
    splits = huggingface(path=str(root))
    assert isinstance(splits.train, Files)
    assert all(root in path.parents for path in splits.train.paths)
    assert splits.classes == ("cat", "dog")
    assert torch.bincount(splits.train.targets).tolist() == [2, 3]
    assert splits.undivided


def test_columns_and_splits_by_name() -> None:
    part = examples(6).rename_columns({"image": "scan", "label": "finding"})
    part = part.add_column("site", ["north", "south", "east"] * 2)
    datasets.DatasetDict({"fit": part, "held": part, "other": part}).save_to_disk("saved")
    with pytest.raises(DataError, match="no split is called train; there are fit, held, other"):
        huggingface(path="saved")
    with pytest.raises(DataError, match=r"no split 'hled' \(data.validation_split\); did you mean"):
        huggingface(path="saved", train_split="fit", validation_split="hled")
    given = {"train_split": "fit", "validation_split": "held"}
    splits = huggingface(path="saved", **given)
    assert splits.classes == ("dog", "cat")
    assert splits.validation is not None
    by_site = huggingface(path="saved", **given, label_column="site")
    assert by_site.classes == ("east", "north", "south")
    with pytest.raises(DataError, match=r"no column 'sit' .*; did you mean 'site"):
        huggingface(path="saved", **given, label_column="sit")
    with pytest.raises(DataError, match="holds no image, but str; say which column does"):
        huggingface(path="saved", **given, image_column="site")


def test_16_bit_and_grey_columns() -> None:
    """What the data set stores is kept: `decode` sees the same file as anywhere else."""
    deep = Image.fromarray(np.full((4, 4), 40_000, dtype=np.uint16))
    file = io.BytesIO()
    deep.save(file, "png")
    row = {"bytes": file.getvalue(), "path": None}
    columns = {"image": [row, row], "label": ["a", "b"]}
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("string")})
    datasets.Dataset.from_dict(columns, features=features).save_to_disk("saved")
    splits = huggingface(path="saved", channels=1)
    assert isinstance(splits.train, Files)
    assert splits.train.paths[0].read_bytes() == file.getvalue()
    assert splits.classes == ("a", "b")


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no folder .*nothing, and it is not a name on the hub"):
        huggingface(path="nothing")
    with pytest.raises(DataError, match=r"set data.download: true .* to fetch it"):
        huggingface(path="owner/name")
    with pytest.raises(DataError, match="which version of owner/name is to be fetched"):
        huggingface(path="owner/name", download=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty cannot be opened"):
        huggingface(path="empty")


def test_labels_that_are_missing(whole) -> None:
    hidden = examples(3).map(lambda row: {"label": -1})
    datasets.DatasetDict({"train": whole["train"], "test": hidden}).save_to_disk("saved")
    with pytest.raises(DataError, match=r"test\[0\]: there is no label"):
        huggingface(path="saved")
    assert huggingface(path="saved", test_split=False).test is None


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UsageError, match=r"pip install 'cnntrain\[huggingface\]'"):
        huggingface(path="saved")
