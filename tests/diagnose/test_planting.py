"""The generator of planted faults: each kind changes a run file that loads, or one split."""

from __future__ import annotations

import pickle
import random
from typing import Any

import pytest
import torch
from planting import fifth_images, fourth_images, sixth_images
from planting.draw import broken, healthy, held_out
from planting.drawn_sets import planted_colours
from planting.healthy import PLUGIN, UNUSUAL, base
from planting.kinds import KINDS
from planting.second_sets import BOTH_SPLITS, SECOND
from planting.spoilings import SPOILINGS as CATALOGUED
from planting.third_sets import BOTH_PARTS

from cnntrain.config.from_python import load_given
from cnntrain.data.splits import Pixels
from cnntrain.diagnose.faults import FAULTS

SPOILINGS = {
    name: kind.group
    for name, kind in KINDS.items()
    if kind.group in ("data", "split") and hasattr(kind.plant, "keywords")
}
ALIKE = {
    *("channel_empty", *BOTH_SPLITS, *BOTH_PARTS),
    *(*fourth_images.IN_BOTH, *fifth_images.IN_BOTH, *sixth_images.IN_BOTH),
}
"""What is done to training and validation images alike."""


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_kind_is_a_run_file_without_mistakes(name: str) -> None:
    """The faults are such as no look at the run file can find."""
    (setup,) = broken(1, seed=3, kinds=[name], with_files=False)
    assert setup.kind is KINDS[name]
    assert setup.base.tree != setup.healthy.tree
    load_given(setup.base.tree, ())
    assert setup.base.tree["plugins"][0] == PLUGIN


def test_what_is_unusual_is_a_run_file_without_mistakes() -> None:
    whole = base(random.Random(0), with_files=False)
    for change in UNUSUAL:
        changed = whole.copy()
        if change(changed):
            assert changed.tree != whole.tree
            load_given(changed.tree, ())


def test_drawing_follows_from_the_seed() -> None:
    def drawn(seed: int) -> list[Any]:
        found = broken(6, seed=seed, kinds=sorted(KINDS), with_files=True)
        found += healthy(3, seed=seed, with_files=True)
        return [(each.name, each.base.tree) for each in found]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_a_kind_is_found_again_in_another_process() -> None:
    assert all(pickle.loads(pickle.dumps(kind)) is kind for kind in KINDS.values())


def test_the_last_lot_is_held_out() -> None:
    assert {KINDS[name].lot for name in held_out()} == {6}
    assert {kind.lot for name, kind in KINDS.items() if name not in held_out()} == {1, 2, 3, 4, 5}


def test_kinds_are_named_by_faults_of_the_doctor() -> None:
    assert {code for kind in KINDS.values() for code in kind.codes} <= set(FAULTS)


@pytest.mark.parametrize("name", sorted({*SPOILINGS, *SECOND, *CATALOGUED}))
def test_one_split_is_spoiled(name: str) -> None:
    """Of `validation_...` and of nothing else the validation images or labels are other ones."""
    sound, spoiled = planted_colours(images=300), planted_colours(images=300, spoil=name)
    changed = []
    for before, after in zip(sound.parts.values(), spoiled.parts.values(), strict=True):
        assert isinstance(before, Pixels)
        assert isinstance(after, Pixels)
        alike = len(before) == len(after)
        alike = alike and torch.equal(before.images, after.images)
        changed.append(not (alike and torch.equal(before.targets, after.targets)))
    both = [True, name in ALIKE]
    assert changed == ([False, True] if name.startswith("validation_") else both)
