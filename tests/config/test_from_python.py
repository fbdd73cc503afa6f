"""Run files and changes as Python gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnntrain.config.from_python import as_overrides, load_given
from cnntrain.core.errors import ConfigError, UsageError

NORMALIZE = [{"normalize": {"mean": (0.5,), "std": [0.25]}}]


def tree() -> dict[str, Any]:
    return {
        "arch": {"layers": ["flatten", {"linear": {"out": "$num_classes"}}]},
        "data": {"name": "synthetic"},
        "train": {"epochs": 1, "optimizer": {"name": "sgd", "lr": 0.1}},
    }


def test_a_mapping_is_called_so_and_gives_the_run_a_name_that_a_folder_can_have() -> None:
    loaded = load_given(tree())
    assert loaded.config.name == "run"
    assert loaded.file == Path("<mapping>")
    with pytest.raises(ConfigError) as caught:
        load_given({**tree(), "trian": {}})
    assert str(caught.value).startswith("<mapping>:9:1: unknown key 'trian'")


def test_changes_are_those_of_the_command_line() -> None:
    changes = {
        "train.epochs": np.int64(3),
        "train.optimizer.lr": np.float64(1e-5),
        "train.l1": 2e-7,
        "name": "no",
        "data.channels": 1,
        "data.transforms": {"eval": NORMALIZE, "train": NORMALIZE},
        "record.root": Path("else", "where"),
    }
    config = load_given(tree(), changes).config
    assert config.train is not None
    assert (config.train.epochs, config.train.optimizer.lr, config.train.l1) == (3, 1e-5, 2e-7)
    assert config.name == "no"
    assert config.data.transforms.train[0].parameters["mean"] == (0.5,)
    assert config.record.root == "else/where"
    assert as_overrides(["train.epochs=3"]) == ["train.epochs=3"]
    with pytest.raises(ConfigError, match=r"^command line:1:10: unknown key 'epoch' in train"):
        load_given(tree(), {"train.epoch": 3})


def test_what_no_file_can_hold_is_refused() -> None:
    with pytest.raises(UsageError, match=r"train\.optimizer\.lr is a complex, which no run file"):
        load_given(tree(), {"train.optimizer.lr": 1j})
    with pytest.raises(UsageError, match=r"changes are a mapping, not 'train\.epochs=3'"):
        load_given(tree(), "train.epochs=3")
