"""Shipped run files: found by name, all of them valid."""

from pathlib import Path

import pytest

from cnntrain.config import shipped
from cnntrain.config.load import load
from cnntrain.core.errors import UsageError

NAMES = shipped.names()


def test_there_are_some() -> None:
    assert "lenet5" in NAMES
    assert sorted(NAMES) == NAMES


def test_those_that_name_weights() -> None:
    named = [name for name in NAMES if load(shipped.resolve(name)).config.finetune is not None]
    assert shipped.with_weights() == named
    assert "resnet20_pretrained" in named


@pytest.mark.parametrize("name", NAMES)
def test_every_one_loads(name: str) -> None:
    assert load(shipped.resolve(name)).config.name == name


def test_a_file_in_the_way_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = shipped.folder()
    assert folder is not None
    assert shipped.resolve("lenet5") == folder / "lenet5.yaml"
    assert shipped.resolve("lenet5.yaml") == folder / "lenet5.yaml"
    Path("lenet5.yaml").touch()
    assert shipped.resolve("lenet5") == Path("lenet5.yaml")
    Path("lenet5").touch()
    assert shipped.resolve("lenet5") == Path("lenet5")


def test_unknown_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="did you mean 'lenet5'"):
        shipped.resolve("lenett5")
    with pytest.raises(UsageError, match="there is no run file"):
        shipped.resolve("../lenet5")
    (tmp_path / "runs" / "mine" / "latest").mkdir(parents=True)
    with pytest.raises(UsageError, match="runs is a folder, not a run file; give a file"):
        shipped.resolve("runs")
    (tmp_path / "runs" / "mine" / "latest" / "config.yaml").touch()
    with pytest.raises(UsageError, match="that of the run is runs/mine/latest/config"):
        shipped.resolve("runs/mine")
    assert shipped.find("archs/lenet5.yaml") is not None
    assert shipped.find(str(tmp_path / "lenet5")) is None
