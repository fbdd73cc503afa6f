"""The class in the name: simple patterns, regular expressions, and what does not fit."""

from pathlib import Path

import pytest

from cnntrain.core.errors import DataError
from cnntrain.data import DATASETS
from cnntrain.data.metadata import facts
from cnntrain.data.sets.file_names import file_names
from cnntrain.data.splits import Files, Splits


@pytest.fixture
def root(make_folder, monkeypatch: pytest.MonkeyPatch) -> str:
    folder: Path = make_folder({".": 1})
    content = (folder / "00.png").read_bytes()
    for split in ("train", "test"):
        (folder / split).mkdir()
        for name in ("bulldog_1", "american_bulldog_7", "cat_2", "IMG0001"):
            (folder / split / f"{name}.png").write_bytes(content)
    (folder / "00.png").unlink()
    monkeypatch.chdir(folder.parent)
    return "images"


def labels(splits: Splits) -> dict[str, str]:
    assert isinstance(splits.train, Files)
    pairs = zip(splits.train.paths, splits.train.targets.tolist(), strict=True)
    return {path.name: splits.classes[target] for path, target in pairs}


def test_a_simple_pattern(root: str) -> None:
    splits = file_names(root=root, pattern="CLASS_*")
    assert splits.classes == ("american_bulldog", "bulldog", "cat")
    assert labels(splits)["american_bulldog_7.png"] == "american_bulldog"
    assert [file.path.name for file in splits.left_out] == ["IMG0001.png"] * 2
    assert splits.undivided
    parameters = DATASETS.entry("file_names").check({"root": root, "pattern": "CLASS_*"})[0]
    assert facts("file_names", parameters).class_names == splits.classes


def test_regular_expressions(root: str) -> None:
    first = file_names(root=root, pattern=r"([^_]+)_.*")
    assert first.classes == ("american", "bulldog", "cat")
    named = file_names(root=root, pattern=r"(?P<split>\w+)/(?P<class>[a-z_]+)_\d\.png")
    assert [len(part) for part in named.parts.values()] == [3, 3]
    assert named.test is not None
    assert not named.undivided
    by_folder = file_names(root=root, pattern="CLASS/*")
    assert by_folder.classes == ("test", "train")


def test_what_cannot_be_used_is_refused(root: str) -> None:
    with pytest.raises(DataError, match=r"no name in images fits data.pattern 'x-CLASS' \(IMG0001"):
        file_names(root=root, pattern="x-CLASS")
    with pytest.raises(ValueError, match=r"or a regular expression .missing"):
        file_names(root=root, pattern="(a")
    with pytest.raises(ValueError, match="a pattern that says where the class is"):
        file_names(root=root, pattern=".*_.*")
    with pytest.raises(DataError, match="there is only one class, 'cat'"):
        file_names(root=root, pattern="(cat)_.*")
    with pytest.raises(DataError, match=r"no folder image; did you mean -s data.root=images\?"):
        file_names(root="image", pattern="CLASS_*")


def test_groups_from_names(root: str) -> None:
    with pytest.raises(DataError, match=r"the group '7' is in train, and in test"):
        file_names(root=root, pattern=r"(?P<split>\w+)/(?P<class>[a-z_]+)_(?P<group>\d)\.png")
    splits = file_names(root=root, pattern=r"(?P<class>\w+)_(?P<group>\d)\.png")
    assert splits.groups is not None
    assert sorted(splits.groups.tolist()) == [0, 0, 1, 1, 2, 2]
