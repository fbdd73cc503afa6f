"""Stratified splits: expected shares are proportional by definition."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnntrain.data.split import stratified_split

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
