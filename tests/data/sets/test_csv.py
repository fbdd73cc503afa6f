"""Tables of images: as spreadsheets write them, and every mistake at its line."""

from pathlib import Path

import pytest
import torch

from cnntrain.core.errors import DataError
from cnntrain.data import DATASETS
from cnntrain.data.hold_out import hold_out
from cnntrain.data.metadata import Holdout, facts
from cnntrain.data.sets.csv import csv
from cnntrain.data.splits import Files, Splits


@pytest.fixture
def folder(make_folder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight images, photos/00.png to 07.png."""
    root = make_folder({"photos": 8})
    monkeypatch.chdir(root)
    return root


def rows(splits: Splits) -> list[tuple[str, str, str]]:
    found = []
    for split, part in splits.parts.items():
        assert isinstance(part, Files)
        for path, target in zip(part.paths, part.targets.tolist(), strict=True):
            found.append((split, path.name, splits.classes[target]))
    return found


FIRST = [("train", f"0{n}.png", "dog" if n % 2 else "cat") for n in range(4)]
FORMS = {
    "plain": ("path,label\n" + "".join(f"photos/{n},{c}\n" for _, n, c in FIRST)).encode(),
    "a spreadsheet's": (
        "\ufeffFile;Class;Remark\r\n" + "".join(f'"photos/{n}";{c};"a;b"\r\n' for _, n, c in FIRST)
    ).encode(),
    "tabs, UTF-16": (
        "label\tfilename\n" + "".join(f"{c}\tphotos/{n}\n" for _, n, c in FIRST)
    ).encode("utf-16"),
    "Windows paths, blank lines": (
        "image|category\n\n" + "".join(f"photos\\{n} | {c}\n\n" for _, n, c in FIRST)
    ).encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_give_the_same(folder: Path, form: str) -> None:
    Path("table.csv").write_bytes(FORMS[form])
    splits = csv(file="table.csv")
    assert rows(splits) == FIRST
    assert splits.undivided
    entry = DATASETS.entry("csv")
    stated = facts("csv", entry.check({"file": "table.csv"})[0])
    assert (stated.class_names, stated.channels, stated.undivided) == (("cat", "dog"), 3, True)


def test_splits_and_groups(folder: Path) -> None:
    splits = ("train", "Training", "val", "test", "valid", "train", "train", "train")
    lines = [f"0{n}.png,{'ab'[n % 2]},{split},g{n // 2}" for n, split in enumerate(splits)]
    lines[1] = lines[1].replace("g0", "")
    lines[3], lines[5] = lines[3].replace("g1", "x"), lines[5].replace("g2", "y")
    Path("t.csv").write_text("\n".join(["path,label,split,group", *lines]))
    found = csv(file="t.csv", root="photos")
    assert [len(part) for part in found.parts.values()] == [5, 2, 1]
    assert not found.undivided
    assert found.groups is not None
    # 00: g0; 01: none, its own; 05: y; 06 and 07: g3
    assert found.groups.tolist() == [0, 1, 2, 3, 3]


def test_groups_stay_together_when_images_are_held_out(folder: Path) -> None:
    lines = [f"photos/0{n}.png,{'ab'[n % 2]},{n // 2}" for n in range(8)]
    Path("t.csv").write_text("\n".join(["path,label,patient", *lines]))
    splits = csv(file="t.csv", group_column="patient")
    held = hold_out(splits, Holdout(0.25, seed=1), name="csv").validation
    assert isinstance(held, Files)
    first, second = sorted(int(path.stem) for path in held.paths)
    assert (first % 2, second) == (0, first + 1)


def test_what_a_run_wrote_is_read_again(folder: Path) -> None:
    """split.csv is a table itself: the same images in the same splits."""
    Path("t.csv").write_bytes(FORMS["plain"] + b"photos/04.png,cat\nphotos/05.png,dog\n")
    made = hold_out(csv(file="t.csv"), Holdout(2), name="csv")
    assert made.division is not None
    Path("split.csv").write_text(made.division.text())
    again = csv(file="split.csv")
    assert rows(again) == rows(made)
    assert not again.undivided


def test_numbers_are_sorted_by_value_and_classes_may_be_given(folder: Path) -> None:
    lines = [f"0{n},{label}" for n, label in enumerate((10, 9, 2, 10))]
    Path("t.csv").write_text("\n".join(["id,label", *lines]))
    made = csv(file="t.csv", root="photos", suffix=".png")
    assert made.classes == ("2", "9", "10")
    assert made.train.targets.tolist() == [2, 1, 0, 2]
    given = csv(file="t.csv", root="photos", suffix=".png", classes=("9", "10", "2"))
    assert given.train.targets.tolist() == [1, 0, 2, 1]


def test_unreadable_images_are_left_out_when_asked(folder: Path) -> None:
    Path("t.csv").write_bytes(FORMS["plain"])
    Path("photos/01.png").write_bytes(b"x")
    splits = csv(file="t.csv", unreadable="skip")
    assert [file.path.name for file in splits.left_out] == ["01.png"]
    assert torch.bincount(splits.train.targets).tolist() == [2, 1]


GOOD = "photos/00.png,a\nphotos/01.png,b\n"
WRONG = {
    "no file": (None, "there is no file t.csv; check `data.file`"),
    "a missing image": (
        f"path,label\n{GOOD}photos/x.png,a\nphotos/y.png,b\n",
        r"t.csv:4: there is no file photos/x.png \(and 1 lines more\); correct the path",
    ),
    "paths that start elsewhere": (
        "path,label\n00.png,a\n01.png,b\n",
        "t.csv:2: there is no file 00.png .*say where paths start: -s data.root=photos",
    ),
    "no suffixes": ("path,label\nphotos/00,a\n", "add the suffix: -s data.suffix=.png"),
    "no header": (GOOD, r"t.csv:1: no column is called path .* columns are: photos/00.png, a; say"),
    "another column": ("path,kind\n" + GOOD, "no column is called label .* -s data.label_column="),
    "an empty label": (f"path,label\n{GOOD}photos/02.png,\n", "t.csv:4: there is no label; fill"),
    "a line cut off": (f"path,label\n{GOOD}photos/02.png\n", "t.csv:4: there is no label; fill it"),
    "an empty path": (f"path,label\n{GOOD},a\n", "t.csv:4: there is no path; fill it in, or rem"),
    "an unknown split": (
        "path,label,split\nphotos/00.png,a,trian\n",
        r"t.csv:2: there is no split 'trian'; did you mean 'train'\?",
    ),
    "two labels": (
        f"path,label\n{GOOD}photos/00.png,b\n",
        "t.csv:4: the label of photos/00.png is 'b', but 'a' in t.csv:2; remove one",
    ),
    "two splits": (
        "path,label,split\nphotos/00.png,a,train\nphotos/00.png,a,val\n",
        "t.csv:3: the split of photos/00.png is 'validation', but 'train' in t.csv:2",
    ),
    "a torn group": (
        "path,label,split,group\nphotos/00.png,a,train,p1\nphotos/01.png,b,val,p1\n",
        r"t.csv:3: the group 'p1' is in validation, and in train \(t.csv:2\); keep all images",
    ),
    "one class": ("path,label\nphotos/00.png,a\n", "there is only one class, 'a'"),
    "no rows": ("path,label\n", "t.csv has no rows"),
    "empty": ("", "t.csv:1: no column is called path .*the columns are: none"),
    "only validation": (
        "path,label,split\nphotos/00.png,a,val\nphotos/01.png,b,val\n",
        "there are no training images",
    ),
    "a class of validation only": (
        f"path,label,split\n{GOOD.replace(chr(10), ',train' + chr(10))}photos/02.png,c,val\n",
        "the class 'c' has no training image",
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_each_mistake_has_its_line(folder: Path, mistake: str) -> None:
    text, message = WRONG[mistake]
    if text is not None:
        Path("t.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        csv(file="t.csv")


def test_given_columns_and_classes_must_be_there(folder: Path) -> None:
    Path("t.csv").write_text("path,label\n" + GOOD)
    with pytest.raises(
        DataError, match=r"no column 'lable' \(data.label_column\); did you mean 'la"
    ):
        csv(file="t.csv", label_column="lable")
    with pytest.raises(DataError, match=r"t.csv:3: the label 'b' is not in `data.classes`"):
        csv(file="t.csv", classes=("a", "c"))
    with pytest.raises(
        DataError, match=r"no folder nowhere for .*from the table: -s data.root=nul"
    ):
        csv(file="t.csv", root="nowhere")
    with pytest.raises(DataError, match=r"no file tt.csv; did you mean -s data.file=t.csv\?"):
        csv(file="tt.csv")
    Path("t.csv").rename("photos/t.csv")
    with pytest.raises(DataError, match=r"no file t.csv; did you mean -s data.file=photos/t.csv"):
        csv(file="t.csv", root="photos")


def test_another_encoding_is_asked_for_and_taken(folder: Path) -> None:
    text = "path;label\nphotos/00.png;K\u00e4fer\nphotos/01.png;b\n"
    Path("t.csv").write_bytes(text.encode("cp1252"))
    with pytest.raises(DataError, match=r"t.csv:2: this is not UTF-8 .*data.encoding=cp1252"):
        csv(file="t.csv")
    assert csv(file="t.csv", encoding="cp1252").classes == ("K\u00e4fer", "b")
