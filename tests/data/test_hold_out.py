"""Held-out images: how many by definition of the shares, and that groups stay whole."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnntrain.data.hold_out import hold_out
from cnntrain.data.metadata import Fold, Holdout
from cnntrain.data.splits import Pixels, Splits
from cnntrain.data.stratify import grouped_fold, grouped_split, stratified_split


def splits(sizes: list[int], *, groups: list[int] | None = None, undivided: bool = False) -> Splits:
    """Images of one pixel whose value is their position, so that each can be recognised."""
    targets = torch.tensor([number for number, size in enumerate(sizes) for _ in range(size)])
    images = torch.arange(len(targets)).to(torch.uint8).view(-1, 1, 1, 1)
    names = tuple(f"class {number}" for number in range(len(sizes)))
    return Splits(
        names,
        Pixels(images, targets),
        groups=None if groups is None else torch.tensor(groups),
        undivided=undivided,
    )


def members(found: Splits) -> dict[str, list[int]]:
    return {name: part.images.flatten().tolist() for name, part in found.parts.items()}


def test_the_lectures_60_20_20() -> None:
    """Fractions are of all images; each class in its proportion: 50, 30 and 20 of 100."""
    found = hold_out(splits([50, 30, 20]), Holdout(0.2, 0.2, seed=3), name="x")
    counts = {name: torch.bincount(part.targets).tolist() for name, part in found.parts.items()}
    assert counts == {"train": [30, 18, 12], "validation": [10, 6, 4], "test": [10, 6, 4]}
    assert sorted(number for part in members(found).values() for number in part) == [*range(100)]
    assert found.notes == ("split: 60 train, 20 validation, 20 test (by class, seed 3)",)


def test_without_a_test_set_the_images_are_those_of_earlier_versions() -> None:
    """`data.validation` of earlier runs: the same images, so that these can be resumed."""
    whole = splits([9, 14, 5])
    targets = whole.train.targets
    _, held = stratified_split(targets, held_out=0.25, num_classes=3, seed=11)
    assert members(hold_out(whole, Holdout(0.25, seed=11), name="x"))["validation"] == held.tolist()


def test_a_set_that_nobody_has_split_gets_a_fifth_for_validation() -> None:
    whole = splits([20, 10], undivided=True)
    found = hold_out(whole, Holdout(), name="x")
    assert {name: len(part) for name, part in found.parts.items()} == {"train": 24, "validation": 6}
    assert "24 train, 6 validation (by class, seed 0; `data.split`)" in found.notes[0]
    with_test = hold_out(whole, Holdout(test=9), name="x")
    assert {k: len(v) for k, v in with_test.parts.items()} == {
        "train": 15, "validation": 6, "test": 9}  # fmt: skip
    assert hold_out(whole, Holdout(validation=False), name="x").parts.keys() == {"train"}
    assert hold_out(splits([20, 10]), Holdout(), name="x").parts.keys() == {"train"}


def test_all_folds_have_the_same_test_images() -> None:
    whole = splits([12, 9])
    folds = [hold_out(whole, Holdout(Fold(n, 3), 6), name="x") for n in (1, 2, 3)]
    tests = [members(found)["test"] for found in folds]
    assert tests[0] == tests[1] == tests[2]
    held = [number for found in folds for number in members(found)["validation"]]
    assert sorted([*held, *tests[0]]) == [*range(21)]


def test_the_record_names_each_image_once() -> None:
    found = hold_out(splits([3, 3]), Holdout(2, 2), name="x")
    assert found.division is not None
    header, *rows = found.division.text().splitlines()
    assert header == "path,class,split"
    read = {path: (label, split) for path, label, split in (row.split(",") for row in rows)}
    assert read == {
        f"image {number}": (f"class {number // 3}", split)
        for split, numbers in members(found).items()
        for number in numbers
    }


def test_a_split_of_its_own_is_not_split_again() -> None:
    whole = splits([4, 4])
    own = Splits(whole.classes, whole.train, test=whole.train)
    with pytest.raises(ValueError, match=r"'x' has a test split of its own \(8 images\): remove"):
        hold_out(own, Holdout(test=0.25), name="x")
    assert hold_out(own, Holdout(0.25), name="x").parts.keys() == {"train", "validation", "test"}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 11)), min_size=6, max_size=80))
def test_groups_are_never_torn(images: list[tuple[int, int]]) -> None:
    """Each group whole in one split; training keeps an image of each class; near the share."""
    images = sorted(images)
    targets = torch.tensor([label for label, _ in images])
    groups = torch.tensor([group for _, group in images])
    most = max(Counter(groups.tolist()).values())
    try:
        stay, held = grouped_split(targets, groups, held_out=0.3, num_classes=3, seed=1)
    except ValueError:
        return  # one group holds all of a class, or there is no room
    assert not set(groups[stay].tolist()) & set(groups[held].tolist())
    assert set(targets[stay].tolist()) == set(targets.tolist())
    assert abs(len(held) - round(0.3 * len(images))) <= 2 * most
    assert sorted(torch.cat([stay, held]).tolist()) == [*range(len(images))]


def test_many_small_groups_come_near_the_share_of_each_class() -> None:
    """300 images in 100 groups of three, each of one class: 20 % is 36, 15, 9 of 180, 75, 45."""
    targets = torch.tensor([0] * 180 + [1] * 75 + [2] * 45)
    groups = torch.arange(300) // 3
    _, held = grouped_split(targets, groups, held_out=0.2, num_classes=3, seed=0)
    assert torch.bincount(targets[held]).tolist() == [36, 15, 9]
    other = grouped_split(targets, groups, held_out=0.2, num_classes=3, seed=1)[1]
    assert not torch.equal(held, other)


def test_folds_of_groups() -> None:
    """Every group in one of the folds, each class spread over them: 60 and 30 images in three."""
    targets = torch.tensor([0] * 60 + [1] * 30)
    groups = torch.arange(90) // 5
    held = [
        grouped_fold(targets, groups, number=n, of=3, num_classes=2, seed=0)[1] for n in (1, 2, 3)
    ]
    assert torch.cat(held).sort().values.tolist() == [*range(90)]
    assert all(torch.bincount(targets[fold]).tolist() == [20, 10] for fold in held)
    assert len({group for fold in held for group in set(groups[fold].tolist())}) == 18


def test_groups_that_cannot_be_split_are_refused() -> None:
    targets, groups = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 1, 1])
    with pytest.raises(ValueError, match="validation: no group of images can be held out near"):
        grouped_split(targets, groups, held_out=1, num_classes=2, seed=0)
    with pytest.raises(ValueError, match="class 0 has only one group of training images"):
        grouped_fold(targets, groups, number=1, of=2, num_classes=2, seed=0)
    with pytest.raises(ValueError, match="3 folds cannot be made of 2 groups"):
        grouped_fold(targets, groups, number=1, of=3, num_classes=2, seed=0)


def test_the_groups_count_in_a_data_set() -> None:
    found = hold_out(splits([6, 6], groups=[n // 2 for n in range(12)]), Holdout(4), name="x")
    held = members(found)["validation"]
    assert len(held) == 4
    assert all(number ^ 1 in held for number in held)  # pairs 0 and 1, 2 and 3, ...
    assert found.notes == ("split: 8 train, 4 validation (by class, seed 0, 6 groups kept whole)",)


def test_some_of_the_training_images_by_class() -> None:
    """20 of the 80 that stay are 10, 6 and 4, as 50 to 30 to 20; validation stays as it was."""
    whole = splits([50, 30, 20])
    held = hold_out(whole, Holdout(0.2, seed=3), name="x")
    found = hold_out(whole, Holdout(0.2, seed=3, train=20), name="x")
    assert torch.bincount(found.train.targets).tolist() == [10, 6, 4]
    assert found.validation is not None
    assert held.validation is not None
    assert torch.equal(found.validation.targets, held.validation.targets)
    assert found.whole_train is not None  # whose pixels' mean and deviation count
    assert len(found.whole_train) == 80
    assert found.division is not None
    used, before = found.division.positions["train"], held.division.positions["train"]
    assert len(used) == 20
    assert set(used.tolist()) <= set(before.tolist())
    with pytest.raises(ValueError, match="asks for 80 of 80 training images"):
        hold_out(whole, Holdout(0.2, seed=3, train=80), name="x")


def test_classes_are_set_apart() -> None:
    """Of 3 images of each class: all of the named ones, and none of them trains."""
    whole = splits([3, 3, 3, 3, 3])
    asked = Holdout(validation_classes=("class 1",), test_classes=("class 3", "class 4"))
    found = hold_out(whole, asked, name="x")
    assert members(found) == {
        "train": [0, 1, 2, 6, 7, 8], "validation": [3, 4, 5], "test": [9, 10, 11, 12, 13, 14]
    }  # fmt: skip
    assert found.division is not None
    assert {k: len(v) for k, v in found.division.positions.items()} == {
        "train": 6, "validation": 3, "test": 6}  # fmt: skip
    assert "the test images are of class 3, class 4 only (6)" in found.notes[1]
    part = hold_out(whole, Holdout(0.34, test_classes=("class 0",)), name="x")
    assert {k: len(v) for k, v in part.parts.items()} == {"train": 8, "validation": 4, "test": 3}
    assert 0 not in part.train.targets.tolist()
    assert sorted(n for each in members(part).values() for n in each) == [*range(15)]
    usual = hold_out(
        splits([5, 5, 5], undivided=True), Holdout(test_classes=("class 2",)), name="x"
    )
    assert {k: len(v) for k, v in usual.parts.items()} == {"train": 8, "validation": 2, "test": 5}


def test_a_split_of_its_own_keeps_the_images_of_its_classes() -> None:
    whole = splits([3, 3, 3])
    own = replace(whole, test=whole.train, validation=whole.train)
    found = hold_out(own, Holdout(test_classes=("class 2",)), name="x")
    assert members(found) == {
        "train": [0, 1, 2, 3, 4, 5], "validation": [0, 1, 2, 3, 4, 5], "test": [6, 7, 8]
    }  # fmt: skip
    assert found.division is None


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Holdout(test_classes=("klass 1",)), "there is no class 'klass 1'; did you mean 'class 1'"),
        (Holdout(test_classes=("class 1", "class 2")), "leave fewer than two classes"),
        (Holdout(test=2, test_classes=("class 1",)), "asks for a part of the images"),
        (Holdout(validation_classes=("class 1",), test_classes=("class 1",)), "for validation and"),
        (Holdout(test_classes=("class 3",)), "there is no test image of class 3"),
    ],
)
def test_classes_that_cannot_be_set_apart(asked: Holdout, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hold_out(splits([3, 3, 3, 0]), asked, name="x")
    grouped = splits([2, 2, 2], groups=[0, 0, 1, 1, 2, 2])
    with pytest.raises(ValueError, match="belong together in groups"):
        hold_out(grouped, Holdout(test_classes=("class 0",)), name="x")
