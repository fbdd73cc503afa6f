"""Stratified splits: expected shares are proportional by definition."""

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold

from cnntrain.data.stratify import stratified_fold, stratified_split

TARGETS = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)


def test_a_fraction_is_taken_of_each_class() -> None:
    stay, held = stratified_split(TARGETS, held_out=0.2, num_classes=3, seed=0)
    assert torch.bincount(TARGETS[held]).tolist() == [10, 6, 4]
    assert torch.bincount(TARGETS[stay]).tolist() == [40, 24, 16]
    assert sorted(torch.cat([stay, held]).tolist()) == list(range(100))


def test_a_count_is_exact_and_the_seed_decides() -> None:
    _, held = stratified_split(TARGETS, held_out=7, num_classes=3, seed=0)
    assert torch.bincount(TARGETS[held]).tolist() == [4, 2, 1]  # 3.5, 2.1, 1.4
    again = stratified_split(TARGETS, held_out=7, num_classes=3, seed=0)[1]
    other = stratified_split(TARGETS, held_out=7, num_classes=3, seed=1)[1]
    assert torch.equal(held, again)
    assert not torch.equal(held, other)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(1, 60))
def test_every_class_keeps_an_image_and_the_count_is_met(classes: list[int], count: int) -> None:
    targets = torch.tensor(classes)
    room = len(classes) - len(set(classes))
    if count > room:
        with pytest.raises(ValueError, match=f"{room} is the most"):
            stratified_split(targets, held_out=count, num_classes=6, seed=0)
        return
    stay, held = stratified_split(targets, held_out=count, num_classes=6, seed=0)
    assert len(held) == count
    assert set(targets[stay].tolist()) == set(classes)
    assert sorted(torch.cat([stay, held]).tolist()) == list(range(len(classes)))


@pytest.mark.parametrize("held_out", [0.0, 1.0, 1.5, -0.1])
def test_fractions_outside_are_refused(held_out: float) -> None:
    with pytest.raises(ValueError, match="a fraction for validation lies between 0 and 1"):
        stratified_split(TARGETS, held_out=held_out, num_classes=3, seed=0)


@pytest.mark.parametrize("held_out", [0, 0.001])
def test_not_one_image_is_refused(held_out: float) -> None:
    with pytest.raises(ValueError, match="is not one image"):
        stratified_split(TARGETS, held_out=held_out, num_classes=3, seed=0)


def folds(targets: torch.Tensor, of: int, seed: int = 0) -> list[torch.Tensor]:
    """The held-out positions of each fold; the others are checked to be all the rest."""
    held = []
    for number in range(1, of + 1):
        stay, out = stratified_fold(targets, number=number, of=of, num_classes=9, seed=seed)
        assert torch.cat([stay, out]).sort().values.tolist() == list(range(len(targets)))
        assert torch.equal(out, out.sort().values)
        held.append(out)
    return held


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(2, 11), min_size=1, max_size=5), st.integers(2, 7), st.integers(0, 9))
def test_folds_are_as_scikit_learns(sizes: list[int], of: int, seed: int) -> None:
    """Every image in one fold; images of each class in each fold as StratifiedKFold has them."""
    # a first image of each class in order: scikit-learn numbers the classes as they appear
    rest = [number for number, size in enumerate(sizes) for _ in range(size - 1)]
    targets = torch.tensor([*range(len(sizes)), *reversed(rest)])
    if of > len(targets) or of > max(sizes):
        return  # refused by one or the other
    held = folds(targets, of, seed)
    assert sorted(torch.cat(held).tolist()) == list(range(len(targets)))
    splitter = StratifiedKFold(of, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of classes with fewer images than folds
        expected = [test for _, test in splitter.split(torch.zeros(len(targets)), targets)]
    for ours, theirs in zip(held, expected, strict=True):
        assert len(ours) == len(theirs)
        assert torch.equal(torch.bincount(targets[ours], minlength=5),
                           torch.bincount(targets[theirs], minlength=5))  # fmt: skip


def test_the_seed_decides_about_folds() -> None:
    assert all(map(torch.equal, folds(TARGETS, 5), folds(TARGETS, 5)))
    assert not any(map(torch.equal, folds(TARGETS, 5), folds(TARGETS, 5, seed=1)))


def test_impossible_folds_are_refused() -> None:
    with pytest.raises(ValueError, match="4 folds cannot be made of 3 training images"):
        folds(torch.tensor([0, 1, 1]), 4)
    with pytest.raises(ValueError, match="class 0 has only one training image"):
        folds(torch.tensor([0, 1, 1]), 2)
