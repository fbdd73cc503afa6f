"""Which tar files are of which split: as they lie and as they are named, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from cnntrain.core.errors import DataError
from cnntrain.data import DATASETS
from cnntrain.data.metadata import facts
from cnntrain.data.sets.image_folder import image_folder
from cnntrain.data.sets.webdataset import webdataset
from cnntrain.data.shards import expand_braces, find_shards


def touch(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


LAYOUTS: dict[str, tuple[list[str], dict[str, Any], dict[str, list[str]]]] = {
    "by prefix": (
        ["train-00.tar", "train-01.tar", "val-00.tar", "test-00.tar"], {},
        {"train": ["train-00.tar", "train-01.tar"], "validation": ["val-00.tar"],
         "test": ["test-00.tar"]},
    ),
    "by folder": (
        ["train/0.tar", "train/1.tar", "Validation/0.tar"], {},
        {"train": ["train/0.tar", "train/1.tar"], "validation": ["Validation/0.tar"]},
    ),
    "a word in the name": (
        ["imagenet1k-train-0000.tar", "imagenet1k-validation-00.tar"], {},
        {"train": ["imagenet1k-train-0000.tar"], "validation": ["imagenet1k-validation-00.tar"]},
    ),
    "no splits": (["0.tar", "1.tar"], {}, {"train": ["0.tar", "1.tar"]}),
    "hidden ones and others": (
        ["train-0.tar", ".train-1.tar", "more.tar"], {}, {"train": ["train-0.tar"]},
    ),
    "braces": (
        ["a-08.tar", "a-09.tar", "a-10.tar", "b-0.tar"],
        {"train_shards": "a-{08..10}.tar", "validation_shards": "b-{0,0}.tar"},
        {"train": ["a-08.tar", "a-09.tar", "a-10.tar"], "validation": ["b-0.tar"]},
    ),
    "stars": (
        ["a-1.tar", "a-2.tar", "b.tar"], {"train_shards": "a-*.tar", "test_shards": "b*"},
        {"train": ["a-1.tar", "a-2.tar"], "test": ["b.tar"]},
    ),
    "training named, validation as it lies": (
        ["a.tar", "val.tar"], {"train_shards": "a.tar"},
        {"train": ["a.tar"], "validation": ["val.tar"]},
    ),
    "without validation": (
        ["train.tar", "val.tar"], {"validation_shards": False}, {"train": ["train.tar"]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path: Path, layout: str) -> None:
    names, keys, expected = LAYOUTS[layout]
    touch(tmp_path, names)
    given = {split: keys.get(f"{split}_shards") for split in ("train", "validation", "test")}
    found = find_shards(str(tmp_path), given)
    assert {
        split: [path.relative_to(tmp_path).as_posix() for path in paths]
        for split, paths in found.splits.items()
    } == expected
    assert found.undivided == (layout == "no splits")
    entry = DATASETS.entry("webdataset")
    stated = facts("webdataset", entry.check({"root": str(tmp_path), **keys})[0])
    assert stated.validation == ("validation" in expected)
    assert stated.undivided == (layout == "no splits")
    assert stated.class_names is None, "labels are not read for that"
    assert bool(found.notes) == (layout == "hidden ones and others")


def test_braces_are_expanded_as_a_shell_does() -> None:
    """The expected names are those of bash's echo."""
    assert list(expand_braces("{a,b}-{9..11}.tar")) == [
        "a-9.tar", "a-10.tar", "a-11.tar", "b-9.tar", "b-10.tar", "b-11.tar",
    ]  # fmt: skip
    assert list(expand_braces("x{000..002}")) == ["x000", "x001", "x002"]
    assert list(expand_braces("x{08..10}y")) == ["x08y", "x09y", "x10y"]
    assert list(expand_braces("x{2..0}")) == ["x2", "x1", "x0"]
    assert list(expand_braces("x{}{a}")) == ["x{}{a}"]


PLACES: dict[str, tuple[list[str], dict[str, Any], str]] = {
    "a missing one of a range": (
        ["t-0.tar", "t-3.tar"], {"train_shards": "t-{0..3}.tar"},
        r"2 shards of `data.train_shards: t-\{0..3\}.tar` not there, the first is a/t-1.tar; copy",
    ),
    "a misspelt name": (
        ["train-0.tar"], {"train_shards": "trian-0.tar"}, r"; did you mean train-0.tar\?",
    ),
    "no match": (["x.tar"], {"train_shards": "t*.tar"}, "nothing in a matches `data.train_shards:"),
    "a URL": (
        ["x.tar"], {"train_shards": "https://host/x-{0..9}.tar"},
        "is not a file: shards are read from a disk, in any order; copy them",
    ),
    "very many": (["x.tar"], {"train_shards": "{0..99999999}"}, "stands for more than 1,000,000 n"),
    "two splits in a name": (["train-val.tar"], {}, "train-val.tar is named after two splits: tra"),
    "one shard in two": (
        ["x.tar"], {"train_shards": "x.tar", "test_shards": "*.tar"},
        "the shard a/x.tar is of train and of test; correct data.test_shards",
    ),
    "no training": (["val-0.tar"], {}, "no shards in a are for training; there are val-0.tar; say"),
    "packed": (["train-0.tar.gz"], {}, r"the shards in a are compressed \(train-0.tar.gz\), so no"),
    "interrupted": ([".cnntrain.tmp/x.tar"], {}, "writing of the shards in a was interrupted; del"),
    "none": (["x/y/z.tar"], {}, "there are no tar files in a; `cnntrain data shards FILE"),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_shards_that_are_not_where_they_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    names, keys, message = PLACES[place]
    touch(Path("a"), names)
    with pytest.raises(DataError, match=message):
        webdataset(root="a", **keys)


def test_a_shard_in_place_of_its_folder_and_shards_for_a_folder_of_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    touch(Path("a"), ["train-0.tar"])
    remedy = "name its folder: -s data.root=a -s data.train_shards=train-0.tar"
    with pytest.raises(
        DataError, match=f"a/train-0.tar is a file, not a folder of shards; {remedy}"
    ):
        webdataset(root="a/train-0.tar")
    with pytest.raises(
        DataError, match=r"a holds tar files, and no images; .* -s data.name=webdat"
    ):
        image_folder(root="a")
    with pytest.raises(DataError, match=r"there is no folder b; set `data.root` to the folder"):
        webdataset(root="b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat\n\ndog\n", r"classes.txt:2: no class; write each class once"),
        ("cat\ncat\n", r"classes.txt:2: the class 'cat' a second time"),
        (b"\xff\xfe\x00", r"cannot read .*classes.txt: .*; save it as UTF-8"),
    ],
)
def test_wrong_class_files(tmp_path: Path, text: bytes | str, message: str) -> None:
    touch(tmp_path, ["0.tar"])
    raw = text.encode() if isinstance(text, str) else text
    (tmp_path / "classes.txt").write_bytes(raw)
    with pytest.raises(DataError, match=message):
        webdataset(root=str(tmp_path))
