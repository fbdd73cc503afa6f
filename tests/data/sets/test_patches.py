"""Windows of photographs: where they are from, and which stay together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cnntrain.core.errors import DataError
from cnntrain.data.metadata import Holdout, facts
from cnntrain.data.read import open_splits
from cnntrain.data.sets.patches import patches
from cnntrain.data.splits import Pixels

MakeFolder = Callable[..., Path]


def test_patches_are_windows_of_their_photographs(make_folder: MakeFolder) -> None:
    """Each window stands in the grey photograph that its group says, at some place."""
    root = make_folder({"train/a": 2, "train/b": 3, "val/a": 1, "val/b": 1}, size=(9, 11))
    splits = patches(root=str(root), size=(3, 4), patches=52, other_patches=7, seed=5)
    assert isinstance(splits.train, Pixels)
    assert splits.train.images.shape == (52, 1, 3, 4)
    assert splits.validation is not None
    assert len(splits.validation) == 7
    assert splits.groups is not None
    assert sorted(torch.bincount(splits.groups).tolist()) == [10, 10, 10, 11, 11]
    files = sorted((root / "train").rglob("*.png"))
    places = set()
    for patch, group, target in zip(
        splits.train.images, splits.groups.tolist(), splits.train.targets.tolist(), strict=True
    ):
        assert "ab"[target] == files[group].parent.name
        grey = np.asarray(Image.open(files[group]).convert("L"))
        windows = np.lib.stride_tricks.sliding_window_view(grey, (3, 4))
        found = np.argwhere((windows == patch[0].numpy()).all(axis=(2, 3)))
        assert len(found) == 1
        places.add(tuple(found[0]))
    assert {0, 6} <= {y for y, _ in places}, "up to both edges"
    assert {0, 7} <= {x for _, x in places}
    again = patches(root=str(root), size=(3, 4), patches=52, other_patches=7, seed=5)
    other = patches(root=str(root), size=(3, 4), patches=52, other_patches=7, seed=6)
    assert torch.equal(splits.train.images, again.train.images)
    assert not torch.equal(splits.train.images, other.train.images)


def test_large_photographs_are_resized_first(make_folder: MakeFolder) -> None:
    """A window as large as the resized photograph is all of it, as Pillow resizes it."""
    root = make_folder({"a": 1, "b": 1}, size=(16, 24))
    splits = patches(root=str(root), size=(8, 12), patches=2, shorter_side=8, channels=3)
    assert isinstance(splits.train, Pixels)
    picture = Image.open(root / "a" / "00.png").resize((12, 8), Image.Resampling.BILINEAR)
    expected = np.asarray(picture).transpose(2, 0, 1)
    assert np.array_equal(splits.train.images[0].numpy(), expected)


def test_windows_of_a_photograph_are_held_out_together(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 4, "b": 4}, size=(8, 8))
    parameters = {"root": str(root), "size": 8, "patches": 64}
    stated = facts("patches", {**parameters, "channels": 1})
    assert (stated.size, stated.channels, stated.undivided) == ((8, 8), 1, True)
    splits = open_splits("patches", parameters=parameters, holdout=Holdout(0.25))
    assert splits.validation is not None
    assert isinstance(splits.train, Pixels)
    assert isinstance(splits.validation, Pixels)
    both = [{each.numpy().tobytes() for each in part.images}
            for part in (splits.train, splits.validation)]  # fmt: skip
    assert len(both[0]) + len(both[1]) == 8
    assert both[1]
    assert not both[0] & both[1]


def test_a_photograph_smaller_than_a_window_is_named(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 1, "b": 1}, size=(8, 20))
    with pytest.raises(DataError, match=r"a/00\.png is 8 x 20 pixels, and a patch 9 x 9"):
        patches(root=str(root), size=9, patches=4)
