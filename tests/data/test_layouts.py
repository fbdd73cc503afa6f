"""Folders as they lie: what is found, or the very words that mend it."""

from pathlib import Path

import pytest

from cnntrain.core.errors import DataError
from cnntrain.data.layouts import find_layout, look_at_folders
from cnntrain.data.on_disk import expanded


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [("train", "val", "test"), ("training", "valid", None), ("Train", "VALIDATION", "Testing")],
)
def test_usual_names_of_splits(make_folder, train, validation, test) -> None:
    there = [name for name in (train, validation, test) if name]
    root = make_folder({f"{name}/{label}": 1 for name in there for label in ("a", "b")})
    found = find_layout("images")
    assert found.train == Path("images", train)
    assert found.validation == Path("images", validation)
    assert (found.test and found.test.name) == test
    assert not found.undivided
    assert root.is_dir()


def test_a_class_may_be_called_train(make_folder) -> None:
    make_folder({"bus": 2, "car": 2, "train": 2})
    found = find_layout("images")
    assert (found.train, found.undivided) == (Path("images"), True)
    stated = look_at_folders({"root": "images"})
    assert stated.classes == ("bus", "car", "train")


def test_folders_beside_the_splits_are_not_used_and_that_is_said(make_folder) -> None:
    make_folder({"train/a": 1, "train/b": 1, "val/a": 1, "extra": 2})
    assert find_layout("images").notes == ("not used, because images has splits: extra",)


@pytest.mark.parametrize("inside", ["", "/train"])
def test_a_folder_that_holds_but_one_folder(make_folder, inside: str) -> None:
    """As archives are unpacked: photos/photos/..."""
    make_folder({f"photos/photos{inside}/{label}": 1 for label in ("a", "b")})
    found = find_layout("images")
    assert found.train == Path(f"images/photos/photos{inside}")
    assert found.notes == (
        "images holds nothing but a folder of folders: images/photos/photos is used",
    )


WRONG = {
    "too high": (
        {"photos/train/a": 1, "photos/train/b": 1, "runs/x": 0},
        "images",
        "the images are a level below images; write -s data.root=images/photos",
    ),
    "too deep, a split": (
        {"train/a": 1, "train/b": 1, "val/a": 1, "val/b": 1},
        "images/train",
        "write -s data.root=images; to use it alone, -s data.root=images/train -s data.train_fo",
    ),
    "too deep, a class of a split": (
        {"train/a": 1, "train/b": 1, "val/a": 1},
        "images/train/a",
        "images/train/a holds images, and no class folders; put the images of each class into a "
        "folder of its own; if it is one class of .*/images/train: write -s data.root=images$",
    ),
    "too deep, a class": ({"a": 1, "b": 1}, "images/a", "write -s data.root=images$"),
    "split class by class": (
        {"a/train": 1, "a/val": 1, "b/train": 1, "b/val": 1},
        "images",
        r"each class of images is split by itself \(a/train, ...\); put the splits outside",
    ),
    "splits of other names": (
        {f"{split}_images/{label}": 1 for split in ("train", "val") for label in ("a", "b")},
        "images",
        "look like splits, not like classes: train_images, val_images; say which is which: "
        "-s data.train_folder=train_images",
    ),
    "no training images": (
        {"val/a": 1, "val/b": 1, "test/a": 1},
        "images",
        "images has no folder of training images; it has test, val; name it train",
    ),
    "one class": ({"a": 3}, "images", "images has only one class, 'a'; put the images of each"),
    "no class folders": ({".": 3}, "images", "images has images, but no class folders; put the im"),
    "nothing": ({"a": 0, "b": 0}, "images", "there are no images in images"),
    "misspelt": ({"a": 1, "b": 1}, "imgaes", r"no folder imgaes; did you mean -s data.root=images"),
    "nowhere": ({"a": 1, "b": 1}, "x/y", r"no folder x; .*\(now looked for in "),
}


@pytest.mark.parametrize("layout", WRONG)
def test_what_is_refused_says_what_to_write(make_folder, layout: str) -> None:
    contents, root, message = WRONG[layout]
    make_folder(contents)
    with pytest.raises(DataError, match=message):
        find_layout(root)


def test_the_remedies_work(make_folder) -> None:
    """What the messages above propose is taken."""
    make_folder({f"train/{label}": 1 for label in "ab"} | {f"val/{label}": 1 for label in "ab"})
    alone = find_layout("images/train", ".")
    assert (alone.train, alone.validation, alone.undivided) == (Path("images/train"), None, False)


def test_flat_images_with_a_table_or_names(make_folder) -> None:
    root = make_folder({".": 1})
    for label in ("cat", "dog"):
        for number in range(2):
            (root / f"{label}_{number}.png").write_bytes((root / "00.png").read_bytes())
    with pytest.raises(
        DataError, match=r"begin with the class \(cat, dog\): -s data.name=file_nam"
    ):
        find_layout("images")
    (root / "labels.csv").write_text("path,label\n")
    with pytest.raises(
        DataError, match=r"labels.csv says them: -s data.name=csv -s data.file=imag"
    ):
        find_layout("images")


def test_a_flat_folder_next_to_class_folders(make_folder) -> None:
    """Several beginnings of names: it may be all of the images, or one class of those above."""
    root = make_folder({"pets": 1, "b": 1})
    for label in ("cat", "dog"):
        for number in range(2):
            (root / "pets" / f"{label}_{number}.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        find_layout("images/pets")
    assert caught.value.problems[0].remedy == (
        "if their names begin with the class (cat, dog): -s data.name=file_names "
        "-s 'data.pattern=([^_]+)_.*' -s data.root=images/pets; "
        f"if it is one class of {root.absolute()}: write -s data.root=images"
    )


def test_what_hugging_face_s_library_has_saved(make_folder) -> None:
    root = make_folder({".": 0})
    for name in ("dataset_dict.json", "dataset_info.json", "data/0.parquet", "0.arrow"):
        file = root / name
        file.parent.mkdir(exist_ok=True)
        file.touch()
        with pytest.raises(
            DataError, match=r"write -s data.name=huggingface -s data.path=images -"
        ):
            find_layout("images")
        file.unlink()
    make_folder({"a": 1, "b": 1})
    (root / "of_the_images.parquet").touch()  # beside class folders it is nobody's business
    assert find_layout("images").undivided


def test_a_remedy_is_quoted_for_the_shell(tmp_path: Path) -> None:
    (tmp_path / "my images" / "a").mkdir(parents=True)
    with pytest.raises(DataError, match=r"did you mean -s 'data.root=my images'\?"):
        find_layout("my imges")


def test_files_in_place_of_a_folder(tmp_path: Path) -> None:
    for name, remedy in {
        "labels.csv": "-s data.name=csv -s data.file=labels.csv",
        "photos.zip": "unpack it",
        "a.jpg": "`data.root` names a folder",
    }.items():
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(DataError, match=f"{name} is a file, not a folder; .*{remedy}"):
            find_layout(name)


def test_variables_in_paths(monkeypatch, make_folder) -> None:
    root = make_folder({"a": 1, "b": 1})
    monkeypatch.setenv("PHOTOS", str(root.parent))
    assert find_layout("$PHOTOS/images").train == find_layout("${PHOTOS}/images").train == root
    monkeypatch.delenv("PHOTOS")
    with pytest.raises(
        DataError, match=r"the environment variable PHOTOS in `data.root: .PHOTOS/i"
    ):
        find_layout("$PHOTOS/images")
    Path("$cash").mkdir()
    assert expanded("$cash", key="data.root") == Path("$cash")
