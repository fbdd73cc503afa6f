"""Parts of a checkpoint that are not what they must be: refused by name, whatever is there."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from cnntrain.checkpoint import State
from cnntrain.core.errors import CheckpointError
from cnntrain.runs.contents import (
    classes_in,
    counts_in,
    epoch_in,
    read_run_file,
    steps_in,
    weights_in,
)

PATH = Path("last.pt")
WRONG: list[Any] = [
    "x", [["x"]], 10**30, math.nan, -1, 2.5, {"a": 1}, {1: 2}, torch.zeros(7), True, b"x", [None],
]  # fmt: skip


def steps(**changes: Any) -> list[Any]:
    return [{"name": "normalize", "mean": [0.5], "std": [0.25], **changes}]


@pytest.mark.parametrize("value", [*WRONG, None], ids=repr)
def test_every_part(value: Any) -> None:
    with pytest.raises(CheckpointError, match=r"last\.pt holds no run file"):
        read_run_file({"config": value}, path=PATH)
    with pytest.raises(CheckpointError, match=r"last\.pt holds no classes"):
        classes_in({"classes": value}, path=PATH)
    with pytest.raises(CheckpointError, match=r"last\.pt holds no preprocessing|'transforms'"):
        steps_in({"transforms": value}, path=PATH)
    with pytest.raises(CheckpointError, match=r"last\.pt holds no preprocessing|'transforms'"):
        steps_in({"transforms": {"eval": value}}, path=PATH)
    with pytest.raises(CheckpointError, match=r"part 'train' is damaged: its 'epoch' is .*, not a"):
        epoch_in({"train": {"epoch": value}})
    for part in ("mean", "std"):
        if value is None and part == "mean":
            continue  # then those of the training images
        with pytest.raises(CheckpointError, match="the checkpoint's part 'transforms' is damaged"):
            steps_in({"transforms": {"eval": steps(**{part: value})}}, path=PATH)
    if value is not None:
        with pytest.raises(CheckpointError, match="the checkpoint's part 'counts' is damaged"):
            counts_in({"counts": value})
    if not isinstance(value, dict) or 1 in value:
        with pytest.raises(CheckpointError, match="part 'train' is damaged: it is"):
            epoch_in({"train": value})
        with pytest.raises(CheckpointError, match="part 'model' is damaged: it is"):
            weights_in({"model": value}, path=PATH)


def test_what_is_right() -> None:
    state: State = {
        "classes": ["a", "b"],
        "counts": [3, 4],
        "transforms": {"eval": steps()},
        "train": {"epoch": 3, "best_epoch": 3},
        "model": {"w": torch.ones(2)},
        "ema": None,
    }
    assert classes_in(state, path=PATH) == ("a", "b")
    assert counts_in(state) == [3, 4]
    assert counts_in({}) is None
    assert steps_in(state, path=PATH) == tuple(steps())
    assert epoch_in(state) == (3, True)
    assert epoch_in({}) == (0, False)
    assert weights_in(state, path=PATH)[0] == "model"


def test_a_transform_that_is_not_known_here_is_left_to_whoever_makes_it() -> None:
    eval_steps = [{"name": "of_a_plugin", "strength": 2}, *steps(std="x")]
    assert steps_in({"transforms": {"eval": eval_steps}}, path=PATH) == tuple(eval_steps)


def test_a_transform_that_cannot_be_made() -> None:
    state: State = {"transforms": {"eval": steps(std=[0.0])}}
    with pytest.raises(CheckpointError, match="'transforms' is damaged: normalize: std must be"):
        steps_in(state, path=PATH)


def test_a_run_downloads_nothing_unless_the_user_says_so() -> None:
    """The folder in its run file is somebody else's choice."""
    text = """
name: x
arch: {layers: [flatten, {linear: {out: $num_classes}}]}
data: {name: mnist, root: elsewhere, download: true}
train: {epochs: 1, optimizer: {name: sgd, lr: 0.1}}
"""
    loaded = read_run_file({"config": text}, path=PATH)
    assert loaded.config.data.parameters["download"] is True  # the resolved file stays as it is
    assert loaded.data_parameters == {"root": "elsewhere", "download": False}
    allowed = read_run_file({"config": text}, path=PATH, overrides=["data.download=true"])
    assert allowed.data_parameters == {"root": "elsewhere", "download": True}
