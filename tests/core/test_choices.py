"""The table of all kinds of choice: folders by name, decorators in their rooms, plugins."""

import importlib
from pathlib import Path
from typing import get_args

import pytest

from cnntrain.cli.listing import What
from cnntrain.core.catalogue import Catalogue
from cnntrain.core.choices import CHOICES
from cnntrain.core.trust import name_plugin

ROOMS = {
    "layers": "layers",
    "datasets": "data",
    "transforms": "data",
    "optimizers": "optim",
    "schedules": "optim",
    "losses": "tasks",
    "penalties": "train.penalties",
    "tasks": "tasks",
    "checks": "diagnose",
    "observers": "record",
    "pictures": "explain",
}


def test_list_knows_all_of_them() -> None:
    assert list(CHOICES) == list(ROOMS)
    assert set(CHOICES) < set(get_args(What))


@pytest.mark.parametrize("what", ROOMS)
def test_the_room_has_the_decorator(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of pictures does more: a picture draws in `model.running()`."""
    catalogue = CHOICES[what]
    room = importlib.import_module(f"cnntrain.{ROOMS[what]}")
    decorator = getattr(room, catalogue.decorator)
    if what != "pictures":
        assert decorator == catalogue.register
        return
    names: list[str] = []
    monkeypatch.setattr(catalogue, "register", lambda name: names.append(name) or (lambda it: it))
    assert decorator("mine")(len).__wrapped__ is len
    assert names == ["mine"]


@pytest.mark.parametrize("what", ROOMS)
def test_a_plugin_of_each_kind(what: str, tmp_path: Path) -> None:
    catalogue = CHOICES[what]
    file = tmp_path / "mine.py"
    filled = "".join(f", {name}" for name in catalogue.filled)
    text = f"@{catalogue.decorator}('my_own')\ndef f(*, size: int = 3{filled}): ...\n"
    file.write_text(text)
    for each in CHOICES.values():
        found = [entry.name for entry in each.add_plugin(name_plugin(file))]
        assert found == (["my_own"] if each is catalogue else [])
    entry = catalogue.entry("my_own")
    assert [parameter.name for parameter in entry.parameters] == ["size"]
    assert entry.filled == catalogue.filled
    for name in catalogue.filled:
        (complaint,) = entry.check({name: 1})[1]
        assert f"'{name}' of 'my_own' follows from the" in complaint.message
    catalogue.forget_plugins()
    assert catalogue.find("my_own") is None


def test_a_room_that_is_not_there_has_no_choices(tmp_path: Path) -> None:
    catalogue = Catalogue("thing", tmp_path / "gone", "nowhere")
    assert catalogue.names() == []
