"""`auto` in the place of the batch size and the learning rate: read, refused, filled in."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnntrain.config.load import load
from cnntrain.config.open_numbers import is_filled_in, open_numbers, refuse_open
from cnntrain.core.errors import ConfigError, UsageError

BOTH = ["data.batch_size=auto", "train.optimizer.lr=auto"]


def test_what_is_open(run_file: Path) -> None:
    assert open_numbers(load(run_file).config) == []
    config = load(run_file, [*BOTH, "train.optimizer.groups=[]"]).config
    assert open_numbers(config) == ["data.batch_size", "train.optimizer.lr"]
    assert (config.data.batch, config.train and config.train.optimizer.rate) == (64, 0.01)
    config = load(run_file, ["data.batch_size=48", "train.optimizer.lr=0.3"]).config
    assert (config.data.batch, config.train and config.train.optimizer.rate) == (48, 0.3)


def test_where_several_runs_are_to_have_the_same(run_file: Path) -> None:
    refuse_open(load(run_file).config, doing="--folds")
    with pytest.raises(UsageError) as error:
        refuse_open(load(run_file, BOTH[1:]).config, doing="--folds")
    [problem] = error.value.problems
    assert problem.message.startswith("train.optimizer.lr: auto may come to another number")
    assert problem.remedy.endswith("then give -s train.optimizer.lr=NUMBER")


@pytest.mark.parametrize("text", ["data.batch_size=automatic", "train.optimizer.lr=AUTO"])
def test_another_word_is_wrong(text: str, run_file: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load(run_file, [text])
    [problem] = error.value.problems
    assert "auto" in f"{problem.message} {problem.remedy}"


@pytest.mark.parametrize(
    ("path", "old", "new", "is_one"),
    [
        (("data", "batch_size"), 32, "auto", True),
        (("train", "optimizer", "lr"), 0.04, "auto", True),
        (("data", "batch_size"), 32, 64, False),
        (("data", "batch_size"), "auto", 64, False),
        (("data", "workers"), 2, "auto", False),
    ],
)
def test_a_run_has_the_number_that_its_file_left_open(
    path: tuple[str, ...], old: object, new: object, is_one: bool
) -> None:
    assert is_filled_in(path, old, new) == is_one
