"""Class folders: each oddity of layout has its answer, and the answer names the file."""

import os
import unicodedata
from pathlib import Path

import pytest
import torch
from PIL import Image

from cnntrain.core.errors import DataError
from cnntrain.data.left_out import LOOP, OTHER_CLASS
from cnntrain.data.metadata import facts
from cnntrain.data.sets.image_folder import image_folder
from cnntrain.data.splits import Files

BASIC = {"train/cat": 3, "train/dog": 2, "val/cat": 1, "val/dog": 1}


def names(part: Files | None) -> list[tuple[str, int]]:
    assert isinstance(part, Files)
    return [
        (f"{path.parent.name}/{path.name}", target)
        for path, target in zip(part.paths, part.targets.tolist(), strict=True)
    ]


def test_splits_and_classes(make_folder) -> None:
    splits = image_folder(root=str(make_folder({**BASIC, "test/dog": 1, "test/cat": 1})))
    assert splits.classes == ("cat", "dog")
    assert names(splits.train)[2:4] == [("cat/02.png", 0), ("dog/00.png", 1)]
    assert names(splits.validation) == [("cat/00.png", 0), ("dog/00.png", 1)]
    assert names(splits.test) == [("cat/00.png", 0), ("dog/00.png", 1)]
    assert splits.notes == ()


def test_a_class_that_validation_lacks_keeps_its_number(make_folder) -> None:
    """Each split numbering its own folders is the classic mistake: dog would become 0."""
    root = make_folder({"train/cat": 1, "train/dog": 1, "validation/dog": 2})
    splits = image_folder(root=str(root))
    assert names(splits.validation) == [("dog/00.png", 1), ("dog/01.png", 1)]
    assert splits.notes == (f"{root / 'validation'} has no images of cat",)
    (root / "validation" / "cat").mkdir()
    assert image_folder(root=str(root)).notes == splits.notes, "an empty folder is the same"


def test_an_extra_class_folder_is_an_error(make_folder) -> None:
    root = make_folder({**BASIC, "val/dgo": 1})
    with pytest.raises(DataError, match=r"val/dgo is not among the classes") as caught:
        image_folder(root=str(root))
    assert "did you mean 'dog'?" in str(caught.value)


def test_an_empty_training_folder_is_an_error(make_folder) -> None:
    root = make_folder({**BASIC, "train/eel": 0})
    (root / "train" / "eel" / "notes.txt").write_text("none yet")
    with pytest.raises(
        DataError, match=r"train/eel has no images \(1 left out: files that are not images: "
    ):
        image_folder(root=str(root))


def test_classes_directly_in_the_folder(make_folder) -> None:
    root = str(make_folder({"cat": 2, "dog": 2}))
    splits = image_folder(root=root)
    assert (splits.classes, splits.undivided) == (("cat", "dog"), True)
    given = image_folder(root=root, train_folder=".")
    assert (given.classes, given.undivided) == (("cat", "dog"), False)
    remedy = "the class folders are directly in .*images; remove `data.train_folder`"
    with pytest.raises(DataError, match=remedy):
        image_folder(root=root, train_folder="train")


def test_no_such_folder(make_folder, monkeypatch) -> None:
    root = make_folder({"all/cat": 2, "all/dog": 2})
    monkeypatch.chdir(root.parent)
    with pytest.raises(DataError, match=r"no folder image; did you mean -s data.root=images\?"):
        image_folder(root="image")
    with pytest.raises(DataError, match=r"did you mean -s data.root=images/all\?"):
        image_folder(root="imags/all")
    with pytest.raises(DataError, match=r"no folder nowhere; set `data.root` to the folder of you"):
        image_folder(root="nowhere")
    with pytest.raises(
        DataError, match=r"no folder images/al; did you mean -s data.train_folder=a"
    ):
        image_folder(root="images", train_folder="al")


def test_classes_give_order_and_must_fit(make_folder) -> None:
    root = str(make_folder(BASIC))
    splits = image_folder(root=root, classes=("dog", "cat"))
    assert names(splits.train)[0] == ("dog/00.png", 0)
    with pytest.raises(DataError, match=r"the class 'dogs' .* has no folder.*did you mean 'dog'"):
        image_folder(root=root, classes=("cat", "dogs"))
    with pytest.raises(DataError, match="names 'cat' twice"):
        image_folder(root=root, classes=("cat", "cat"))
    with pytest.raises(DataError, match="only one class"):
        image_folder(root=root, classes=("cat",))


def test_hidden_and_foreign_things_are_passed_over(make_folder) -> None:
    root = make_folder(
        {**BASIC, "train/.ipynb_checkpoints": 1, "train/__MACOSX": 1, "train/cat/.hidden": 1}
    )
    (root / "train" / "cat" / "._00.png").write_bytes(b"macOS resource fork")
    (root / "train" / ".DS_Store").write_bytes(b"x")
    splits = image_folder(root=str(root))
    assert splits.classes == ("cat", "dog")
    assert len(splits.train) == 5
    assert splits.notes == ()


def test_unknown_suffixes_are_noted_and_known_ones_need_no_lower_case(make_folder) -> None:
    root = make_folder(BASIC)
    Image.new("RGB", (4, 4)).save(root / "train" / "cat" / "zz.JPEG")
    (root / "train" / "cat" / "labels.csv").write_text("a,b")
    (root / "train" / "dog" / "x.xyz").write_text("no")
    splits = image_folder(root=str(root))
    assert names(splits.train)[3] == ("cat/zz.JPEG", 0)
    assert [file.path.name for file in splits.left_out] == ["labels.csv", "x.xyz"]


def test_folders_inside_class_folders_count(make_folder) -> None:
    root = make_folder({**BASIC, "train/cat/more/deep": 2})
    assert len(image_folder(root=str(root)).train) == 7


def test_a_symlink_loop_is_entered_once(make_folder) -> None:
    root = make_folder(BASIC)
    loop = root / "train" / "cat" / "again"
    loop.symlink_to(root / "train" / "cat", target_is_directory=True)
    splits = image_folder(root=str(root))
    assert len(splits.train) == 5
    assert [file.path for file in splits.left_out] == [loop]


def test_names_of_macos_and_linux_are_the_same_class(make_folder) -> None:
    composed, decomposed = (unicodedata.normalize(form, "käfer") for form in ("NFC", "NFD"))
    root = make_folder({"train/ant": 1, f"train/{composed}": 1, f"val/{decomposed}": 1})
    splits = image_folder(root=str(root))
    assert splits.classes == ("ant", composed)
    assert splits.validation is not None
    assert splits.validation.targets.tolist() == [1]


def test_one_class_in_two_spellings_of_its_letters(make_folder) -> None:
    """Six and six images on disk are twelve of one class, and that is said."""
    composed, decomposed = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    root = make_folder({f"train/{composed}": 6, f"train/{decomposed}": 6, "train/tea": 5})
    splits = image_folder(root=str(root))
    assert splits.classes == (composed, "tea")
    assert torch.bincount(splits.train.targets).tolist() == [12, 5]
    assert splits.notes == (
        f"two folders in {root}/train are called '{composed}' (their letters are composed in two "
        "ways): they are one class",
    )


def test_classes_that_differ_in_capital_letters_are_noted(make_folder) -> None:
    splits = image_folder(root=str(make_folder({"train/Cat": 1, "train/cat": 1, "train/dog": 1})))
    assert splits.classes == ("Cat", "cat", "dog")
    assert splits.notes[0].startswith("the classes Cat, cat differ in nothing but capital letters")


def test_links_to_another_class_are_left_out(make_folder) -> None:
    root = make_folder({"train/a": 2, "train/b": 3})
    (root / "train/a/more").symlink_to(root / "train/b", target_is_directory=True)
    (root / "train/a/all").symlink_to(root / "train", target_is_directory=True)
    splits = image_folder(root=str(root))
    assert torch.bincount(splits.train.targets).tolist() == [2, 3]
    assert [(file.path.name, file.cause) for file in splits.left_out] == [
        ("all", LOOP),
        ("more", OTHER_CLASS),
    ]


def test_sub_folders_of_other_names(make_folder) -> None:
    root = make_folder({"a/cat": 1, "a/dog": 1, "b/cat": 1, "c/dog": 1})
    given = {"train_folder": "a", "validation_folder": "b", "test_folder": "c"}
    splits = image_folder(root=str(root), **given)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (2, 1, 1)  # type: ignore[arg-type]  # all there
    with pytest.raises(DataError, match=r"no folder .*/x; correct `data.test_folder`"):
        image_folder(root=str(root), **{**given, "test_folder": "x"})
    with pytest.raises(DataError, match=r"no folder .*/d; correct `data.train_folder`"):
        image_folder(root=str(root), train_folder="d")


def test_two_validation_folders_are_a_question(make_folder) -> None:
    root = make_folder({**BASIC, "validation/cat": 1})
    with pytest.raises(DataError, match="has both 'val' and 'validation'"):
        image_folder(root=str(root))


def test_images_without_class_folders(make_folder) -> None:
    root = make_folder({"train": 2})
    with pytest.raises(DataError, match=r"no class folders in .*train"):
        image_folder(root=str(root))


def test_unreadable_images_are_left_out_only_when_asked(make_folder) -> None:
    root = make_folder(BASIC)
    for path in ("train/cat/01.png", "val/dog/00.png"):
        (root / path).write_bytes((root / path).read_bytes()[:40])
    assert len(image_folder(root=str(root)).train) == 5, "opening reads no image"
    splits = image_folder(root=str(root), unreadable="skip")
    assert len(splits.train) == 4
    assert names(splits.validation) == [("cat/00.png", 0)]
    assert [item.path for item in splits.left_out] == [
        root / "train/cat/01.png",
        root / "val/dog/00.png",
    ]


def test_a_training_class_may_not_vanish_by_skipping(make_folder) -> None:
    root = make_folder({"train/cat": 2, "train/dog": 1})
    (root / "train/dog/00.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"not one image in .*/dog can be read: it is empty"):
        image_folder(root=str(root), unreadable="skip")


def test_a_broken_link_is_an_unreadable_image(make_folder) -> None:
    root = make_folder(BASIC)
    (root / "train" / "cat" / "gone.png").symlink_to(root / "nowhere.png")
    (skipped,) = image_folder(root=str(root), unreadable="skip").left_out
    assert skipped.path.name == "gone.png"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_named(make_folder) -> None:
    root = make_folder(BASIC)
    (root / "train").chmod(0)
    try:
        with pytest.raises(DataError, match="cannot read the folder"):
            image_folder(root=str(root))
    finally:
        (root / "train").chmod(0o755)


def test_facts_count_the_class_folders(make_folder, tmp_path: Path) -> None:
    parameters = {"train_folder": None, "classes": None, "channels": 3}
    known = facts("image_folder", {**parameters, "root": str(make_folder(BASIC))})
    assert (known.num_classes, known.channels, known.size) == (2, 3, None)
    assert facts("image_folder", {**parameters, "root": "/nowhere"}).num_classes is None
    named = {**parameters, "root": str(tmp_path), "classes": ("a", "b", "c"), "channels": 1}
    assert facts("image_folder", named).num_classes == 3


def test_false_leaves_a_split_out(make_folder) -> None:
    root = str(make_folder({**BASIC, "test/dog": 1, "test/cat": 1}))
    splits = image_folder(root=root, validation_folder=False, test_folder="val")
    assert splits.validation is None
    assert names(splits.test) == [("cat/00.png", 0), ("dog/00.png", 1)]
    assert image_folder(root=root, test_folder=False).test is None
