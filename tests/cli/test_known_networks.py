"""What was planned without a complaint is remembered; whatever the plan follows from counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnntrain.cli.options import checked_run_file
from cnntrain.config import known_networks
from cnntrain.config.known_networks import is_known, remember
from cnntrain.config.load import load
from cnntrain.core.errors import ConfigError

RunFile = Callable[..., Path]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_change_of_what_the_plan_follows_from_is_another_network(run_file: RunFile) -> None:
    remember(load(run_file({})))
    assert is_known(load(run_file({"train.epochs": 7, "train.optimizer.lr": 0.5})))
    others: list[dict[str, Any]] = [
        {"arch": {"layers": ["flatten", {"linear": {"out": "$num_classes"}}]}},
        {"data.classes": 5},
        {"data.transforms.train": [{"random_crop": {"size": 6}}, "normalize"],
         "data.transforms.eval": [{"center_crop": {"size": 6}}, "normalize"]},
        {"train.optimizer.decay_norm_and_bias": True},
    ]  # fmt: skip
    for changes in others:
        assert not is_known(load(run_file(changes))), changes


def test_a_known_network_is_not_planned_for_another_mistake(
    run_file: RunFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same problems are reported; only a run file without one is planned again."""
    file, wrong = str(run_file({})), ["train.optimizer.momentom=1", "data.batch_size=0"]
    with pytest.raises(ConfigError) as first:
        checked_run_file(file, wrong)
    checked_run_file(file, [])
    monkeypatch.setattr("cnntrain.assemble.checked.try_to_plan", None)  # it must not be called
    with pytest.raises(ConfigError) as again:
        checked_run_file(file, wrong)
    assert str(again.value) == str(first.value)
    with pytest.raises(TypeError):
        checked_run_file(file, [])


def test_a_network_with_a_mistake_is_not_remembered(run_file: RunFile) -> None:
    bad = {"arch": {"layers": ["flatten", {"linear": {"out": 3}}, {"conv": {"out": 2}}]}}
    for _ in range(2):
        with pytest.raises(ConfigError, match="momentom") as found:
            checked_run_file(str(run_file(bad)), ["train.optimizer.momentom=1"])
        assert "conv" in str(found.value)


def test_the_oldest_are_forgotten_and_a_torn_file_is_none(
    run_file: RunFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_networks, "MOST", 2)
    files = [load(run_file({"data.classes": count})) for count in (3, 4, 5)]
    for loaded in files:
        remember(loaded)
    assert [is_known(loaded) for loaded in files] == [False, True, True]
    known_networks._file().write_bytes(b"\xff\xfe broken")
    assert not is_known(files[2])
    remember(files[2])
    assert is_known(files[2])
